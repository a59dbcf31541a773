"""Clocks that are set back and forward while Kiln works: everything goes on, and nothing is believed twice.

One Kiln lives through all tries. Each sets its clock, has it do what callers
and upkeep ask for, and looks whether all of it was done.
"""

from __future__ import annotations

import shutil
import traceback
from collections.abc import Callable, Iterator

from kiln.declare.errors import ApiError
from kiln.store import schema, tasks
from kiln.store.database import open_sqlite
from kiln.upkeep.keeper import CHORES
from kiln.upkeep.unhurried import Unhurried
from kiln.wire.doors import choose
from kiln.wire.nonces import MemoryNonces
from tests.clouds import Cloud, make_cloud
from tests.fuzz.requests import WAYS
from tests.fuzz.target import OneAccount
from tests.stock import an_instance
from torment.campaign import Outcome, Place, Skipped, Verdict

_MINUTE, _HOUR, _DAY = 60.0, 3600.0, 86400.0
_STEPS = (-_DAY, -_HOUR, -31 * _MINUTE, -_MINUTE, _MINUTE, 31 * _MINUTE, _HOUR, _DAY)
_RETRY_S = 30.0  #: The longest pause before a task is tried again.


def run(place: Place) -> Iterator[Outcome]:
    """See the module."""
    if shutil.which("qemu-img") is None:
        raise Skipped("needs qemu-img")
    database = open_sqlite(place.folder / "kiln.sqlite")
    try:
        schema.create(database)
        cloud, nonces = make_cloud(place.folder, database), MemoryNonces()
        instance = an_instance(cloud).id
        for _ in range(place.tries):
            steps = [place.chance.choice(_STEPS) for _ in range(place.chance.randrange(1, 4))]
            name = place.chance.choice(["image", "retry", "replay", "chores"])
            subject = f"{name}, clock set by {', '.join(f'{step / _MINUTE:+.0f} min' for step in steps)}"
            try:
                yield _TRIES[name](cloud, nonces, instance, steps, subject)
            except Exception:  # noqa: BLE001 - whatever a clock makes it raise is what is looked for.
                yield Outcome(subject, Verdict.FAILED, traceback.format_exc(limit=-2).replace("\n", " | "))
    finally:
        database.close()


def _image(cloud: Cloud, _: MemoryNonces, instance: str, steps: list[float], subject: str) -> Outcome:
    """An image that is asked for before the steps is there after them."""
    image = cloud.call("CreateImage", InstanceId=instance)["ImageId"]
    cloud.clock.now += sum(steps)
    cloud.settle()
    # It may stand behind a merge that waits a moment for another, and steps can add up to no time at all.
    for _n in range(int(2 * _RETRY_S)):
        (row,) = cloud.call("DescribeImages", ImageId=image, Status="ALL")["Images"]["Image"]
        if row["Status"] != "Creating":
            break
        cloud.clock.now += 1.0
        cloud.settle()
    cloud.call("DeleteImage", ImageId=image, Force=True)
    for mapping in row["DiskDeviceMappings"]["DiskDeviceMapping"]:
        cloud.call("DeleteSnapshot", SnapshotId=mapping["SnapshotId"])
    return (
        Outcome(subject) if row["Status"] == "Available" else Outcome(subject, Verdict.LOST, f"it is {row['Status']}")
    )


def _retry(cloud: Cloud, _: MemoryNonces, instance: str, steps: list[float], subject: str) -> Outcome:
    """A task that is to be tried again in half a minute is tried again in half a minute."""
    cloud.settle()
    snapshot = _snapshot(cloud, instance)
    task = next(one for one in cloud.open_tasks() if one.resource == snapshot)
    until = cloud.clock() + _RETRY_S
    cloud.ports.database.write(lambda tx: tasks.postpone(tx, task, until, failed=True))
    # A worker looks at the clock every second. Steps and time that cancel each other out are no time at all to who
    # looks only once, so it looks after each of them.
    for passed in (*steps, 2 * _RETRY_S):
        cloud.clock.now += passed
        cloud.settle()
    left = [one for one in cloud.open_tasks() if one.id == task.id]
    cloud.clock.now = max(cloud.clock.now, until + 1)
    cloud.settle()
    cloud.call("DeleteSnapshot", SnapshotId=snapshot)
    return Outcome(subject, Verdict.FAILED, "it was not tried again") if left else Outcome(subject)


def _snapshot(cloud: Cloud, instance: str) -> str:
    (disk,) = cloud.call("DescribeDisks", InstanceId=instance)["Disks"]["Disk"]
    return str(cloud.call("CreateSnapshot", DiskId=disk["DiskId"])["SnapshotId"])


def _replay(cloud: Cloud, nonces: MemoryNonces, _: str, steps: list[float], subject: str) -> Outcome:
    """A request that was used is not accepted again, wherever the clock has been meanwhile."""
    way = WAYS[len(steps) % len(WAYS)]
    request, then = way("DescribeRegions", {}, cloud.clock.now), cloud.clock.now

    def is_admitted() -> bool:
        try:
            choose(request).admit(request, OneAccount(), nonces, cloud.clock.now)
        except ApiError:
            return False
        return True

    is_admitted()
    again = False
    for step in steps:
        cloud.clock.now += step
        other = way("DescribeRegions", {}, cloud.clock.now)
        choose(other).admit(other, OneAccount(), nonces, cloud.clock.now)
        again |= is_admitted()
    cloud.clock.now = then + 1
    again |= is_admitted()
    return Outcome(subject, Verdict.ACCEPTED, "it was accepted again") if again else Outcome(subject)


def _chores(cloud: Cloud, _: MemoryNonces, __: str, steps: list[float], subject: str) -> Outcome:
    """Every chore of the upkeep is done without an error."""
    cloud.clock.now += sum(steps)
    for chore in CHORES:
        # Those that wait until the clock can be believed are to stand it as well.
        do = chore.do.do if isinstance(chore.do, Unhurried) else chore.do
        do(cloud.ports)
    cloud.settle()
    return Outcome(subject)


_TRIES: dict[str, Callable[[Cloud, MemoryNonces, str, list[float], str], Outcome]] = {
    "image": _image,
    "retry": _retry,
    "replay": _replay,
    "chores": _chores,
}
