"""The sweeper: what nothing names is given back, chains stay short, and no byte that counts is lost."""

from __future__ import annotations

import contextlib
import itertools
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from kiln.calls.call import Job, NotYet
from kiln.declare.facts import read
from kiln.declare.ids import new_id
from kiln.declare.states import InstanceStatus
from kiln.ground import killpoints
from kiln.ground.units import GiB
from kiln.machines.errors import MachineMissing
from kiln.machines.none import NoMachines
from kiln.pools import locks
from kiln.store.disks import disks
from kiln.store.snapshots import snapshots
from kiln.store.tasks import tasks
from kiln.store.volumes import Volume, chain, volumes
from kiln.tasks.worker import Worker
from kiln.upkeep import unfinished
from kiln.upkeep.duties import DUTIES
from kiln.upkeep.sweep import DEEPEST, MergeFacts, merge, sweep
from tests.clouds import Cloud
from tests.operations.disks.watched import run
from tests.reading import every
from tests.stock import a_disk, a_snapshot, an_instance
from tests.tools import needs


@pytest.fixture(autouse=True)
def tools():
    needs("qemu-img", "qemu-io")


def keep(cloud: Cloud) -> None:
    """Sweep and carry out what that leads to, until nothing more happens."""
    for _ in range(60):
        sweep(cloud.ports)
        if not cloud.open_tasks():
            return
        cloud.settle()
    raise AssertionError("no end")


def write(cloud: Cloud, volume: str, pattern: int, offset_mib: int) -> None:
    path = cloud.folder / "pool" / f"{volume}.qcow2"
    subprocess.run(
        ["qemu-io", "-f", "qcow2", "-c", f"write -P {pattern} {offset_mib}M 1M", path], check=True, capture_output=True
    )


def reads_as(cloud: Cloud, volume: str, *patterns: int) -> bool:
    """Whether the first MiB holds the first pattern, the second the next; asked of one process."""
    path = cloud.folder / "pool" / f"{volume}.qcow2"
    reads = [("-c", f"read -P {byte} {at}M 1M") for at, byte in enumerate(patterns)]
    command = ["qemu-io", "-r", "-U", "-f", "qcow2", *itertools.chain(*reads), path]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    return done.returncode == 0 and "Pattern verification failed" not in done.stdout


@contextlib.contextmanager
def written_by_another(cloud: Cloud, volume: str) -> Iterator[None]:
    """Have a program hold a volume open for writing."""
    path = cloud.folder / "pool" / f"{volume}.qcow2"
    command = ["qemu-io", "-f", "qcow2", path]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as process:
        try:
            deadline = time.monotonic() + 300
            while not locks.is_written(path):
                assert time.monotonic() < deadline
                time.sleep(0.01)
            yield
        finally:
            process.communicate(b"quit\n")


def head_of(cloud: Cloud, disk: str) -> str:
    with cloud.ports.database.read() as tx:
        return disks.find(tx, id=disk).volume


def known(cloud: Cloud) -> set[str]:
    with cloud.ports.database.read() as tx:
        return {row.id for row in volumes.all(tx)}


def snapshot_now(cloud: Cloud, instance: str) -> list[str]:
    """Capture all disks of an instance; returns the new snapshots. The image that came with them is taken away."""
    with cloud.ports.database.read() as tx:
        before = {s.id for s in snapshots.all(tx)}
    image_id = cloud.call("CreateImage", InstanceId=instance)["ImageId"]
    cloud.settle()
    cloud.call("DeleteImage", ImageId=image_id)
    with cloud.ports.database.read() as tx:
        return [s.id for s in snapshots.all(tx) if s.id not in before]


def forget_snapshot(cloud: Cloud, snapshot: str) -> None:
    cloud.ports.database.write(lambda tx: snapshots.delete(tx, id=snapshot))


def test_drops_a_volume_that_nothing_names(cloud):
    disk = a_disk(cloud)
    cloud.ports.database.write(lambda tx: disks.delete(tx, id=disk.id))

    assert sweep(cloud.ports) == [disk.volume]
    assert not cloud.ports.pool.exists(disk.volume)
    assert known(cloud) == set()


def test_leaves_what_a_disk_or_a_snapshot_names(cloud):
    disk, snapshot = a_disk(cloud), a_snapshot(cloud)

    assert sweep(cloud.ports) == []
    assert known(cloud) == {disk.volume, snapshot.volume}


def test_leaves_what_a_task_is_making(cloud):
    an_instance(cloud)
    with cloud.ports.database.read() as tx:
        instance = disks.all(tx)[0].instance
    cloud.call("CreateImage", InstanceId=instance)

    sweep(cloud.ports)

    with cloud.ports.database.read() as tx:
        assert [v.state for v in volumes.all(tx) if v.task] == ["planned"]


def test_merges_a_layer_that_nothing_names_into_its_only_child(cloud):
    instance = an_instance(cloud)
    with cloud.ports.database.read() as tx:
        disk = disks.all(tx)[0]
    write(cloud, disk.volume, 1, 0)
    (snapshot,) = snapshot_now(cloud, instance.id)
    write(cloud, head_of(cloud, disk.id), 2, 1)
    forget_snapshot(cloud, snapshot)

    keep(cloud)

    head = head_of(cloud, disk.id)
    assert known(cloud) == {head}
    assert list(cloud.ports.pool.volumes()) == [head]
    assert reads_as(cloud, head, 1, 2)


@pytest.mark.slow
@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_gives_the_space_back_whatever_goes_first(cloud, order):
    instance = an_instance(cloud)
    with cloud.ports.database.read() as tx:
        disk = disks.all(tx)[0]
    taken = []
    for n in range(3):
        write(cloud, head_of(cloud, disk.id), n + 1, n)
        taken += snapshot_now(cloud, instance.id)

    for n in order:
        forget_snapshot(cloud, taken[n])
        keep(cloud)
        assert reads_as(cloud, head_of(cloud, disk.id), 1, 2, 3)

    assert known(cloud) == {head_of(cloud, disk.id)}


def test_records_a_merge_whose_end_was_not_recorded(cloud):
    """Killed between the merge and its record, the task finds the child on its grandparent and records just that."""
    instance = an_instance(cloud)
    with cloud.ports.database.read() as tx:
        disk = disks.all(tx)[0]
    (snapshot,) = snapshot_now(cloud, instance.id)
    forget_snapshot(cloud, snapshot)
    sweep(cloud.ports)
    head = head_of(cloud, disk.id)
    cloud.ports.pool.absorb(head, None)
    (task,) = cloud.worker.claim(cloud.clock())

    merge(Job(task=task, ports=cloud.ports, facts=read(MergeFacts, task.payload)[0]))

    with cloud.ports.database.read() as tx:
        assert volumes.find(tx, id=head).parent is None


@pytest.mark.slow
def test_shortens_a_chain_that_has_grown_too_deep(cloud):
    instance = an_instance(cloud)
    with cloud.ports.database.read() as tx:
        disk = disks.all(tx)[0]
    taken = []
    for n in range(DEEPEST):
        write(cloud, head_of(cloud, disk.id), n + 1, n)
        taken += snapshot_now(cloud, instance.id)

    keep(cloud)

    with cloud.ports.database.read() as tx:
        assert len(chain(tx, head_of(cloud, disk.id))) <= 4
        assert snapshots.count(tx) == DEEPEST
    assert reads_as(cloud, head_of(cloud, disk.id), *range(1, DEEPEST + 1))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("too_deep", "left", "behind"),
    [(2 * DEEPEST, DEEPEST, []), (DEEPEST - 1, DEEPEST - 1, []), (DEEPEST - 6, DEEPEST - 3, ["Merge"])],
)
def test_gives_way_between_two_layers_or_some_where_the_chain_is_far_too_deep(
    cloud, monkeypatch, too_deep, left, behind
):
    monkeypatch.setattr("kiln.upkeep.sweep._TOO_DEEP", too_deep)
    instance = an_instance(cloud)
    with cloud.ports.database.read() as tx:
        disk = disks.all(tx)[0]
    for n in range(DEEPEST):
        write(cloud, head_of(cloud, disk.id), n + 1, n)
        snapshot_now(cloud, instance.id)
    head = head_of(cloud, disk.id)
    sweep(cloud.ports)
    image = cloud.call("CreateImage", InstanceId=instance.id)["ImageId"]

    (task,) = cloud.worker.claim(cloud.clock())
    cloud.worker.attempt(task)

    with cloud.ports.database.read() as tx:
        assert task.action == "Merge"
        assert len(chain(tx, head)) == left
    assert [waiting.action for waiting in cloud.open_tasks()] == ["CreateImage", *behind]
    keep(cloud)
    assert cloud.call("DescribeImages", ImageId=image)["Images"]["Image"][0]["Status"] == "Available"
    assert reads_as(cloud, head_of(cloud, disk.id), *range(1, DEEPEST + 1))
    with cloud.ports.database.read() as tx:
        assert len(chain(tx, head_of(cloud, disk.id))) <= DEEPEST


@pytest.mark.slow
def test_a_chain_that_is_captured_without_a_pause_grows_no_longer_and_nobody_waits_long(cloud, monkeypatch):
    monkeypatch.setattr("kiln.upkeep.sweep._TOO_DEEP", DEEPEST // 2)
    instance = an_instance(cloud)
    with cloud.ports.database.read() as tx:
        disk = disks.all(tx)[0]
    for n in range(DEEPEST):
        write(cloud, head_of(cloud, disk.id), n + 1, n)
        snapshot_now(cloud, instance.id)
    sweep(cloud.ports)  # And no other time.

    done: list[str] = []
    cloud.call("CreateImage", InstanceId=instance.id)
    while done.count("Merge") < 3:
        (task,) = cloud.worker.claim(cloud.clock())
        assert merges_in(lambda task=task: cloud.worker.attempt(task)) <= 4
        done.append(task.action)
        if task.action == "CreateImage":
            cloud.call("CreateImage", InstanceId=instance.id)
    assert done == ["Merge", "CreateImage", "Merge", "CreateImage", "Merge"]
    with cloud.ports.database.read() as tx:
        assert len(chain(tx, head_of(cloud, disk.id))) <= DEEPEST // 2
    assert reads_as(cloud, head_of(cloud, disk.id), *range(1, DEEPEST + 1))


def merges_in(act):
    """How many layers are merged by it."""
    passed: list[str] = []
    killpoints.listen(passed.append)
    try:
        act()
    finally:
        killpoints.listen(None)
    return passed.count("merge.absorbed")


def test_waits_for_a_volume_that_something_stands_on(cloud):
    parent = a_snapshot(cloud)
    child = Volume(
        id=new_id("volume"),
        state="ready",
        kind="head",
        parent=parent.volume,
        size_bytes=20 * GiB,
        task=None,
        created_at=0.0,
    )
    cloud.ports.pool.clone(parent.volume, child.id, child.size_bytes)
    cloud.ports.database.write(lambda tx: volumes.insert(tx, child))
    a_disk(cloud, volume=child.id)
    other = Volume(**{**vars(child), "id": new_id("volume")})
    cloud.ports.pool.clone(parent.volume, other.id, other.size_bytes)
    cloud.ports.database.write(lambda tx: volumes.insert(tx, other))
    a_disk(cloud, volume=other.id)
    forget_snapshot(cloud, parent.id)

    assert sweep(cloud.ports) == []
    assert parent.volume in known(cloud)


def test_waits_for_a_merge_below(cloud):
    """Merged with what another merge is giving back, a child would come to stand on nothing."""
    instance = an_instance(cloud)
    with cloud.ports.database.read() as tx:
        disk = disks.all(tx)[0]
    taken = snapshot_now(cloud, instance.id)
    forget_snapshot(cloud, taken[0])
    sweep(cloud.ports)
    (task,) = cloud.worker.claim(cloud.clock())
    cloud.ports.database.write(
        lambda tx: cloud.as_call(tx, "Merge").enqueue(disk.volume, MergeFacts(), task_id="t-other")
    )
    cloud.ports.database.write(lambda tx: volumes.update(tx, {"task": "t-other"}, id=disk.volume))

    with pytest.raises(NotYet):
        merge(Job(task=task, ports=cloud.ports, facts=read(MergeFacts, task.payload)[0]))

    assert cloud.ports.pool.parent(head_of(cloud, disk.id)) == disk.volume

    # Somebody who waits for the same instance does not wait for that other merge too.
    cloud.call("CreateImage", InstanceId=instance.id)
    merge(Job(task=task, ports=cloud.ports, facts=read(MergeFacts, task.payload)[0]))


class PoweredOff(NoMachines):
    """Machines whose guests power off as soon as they are asked for something; or only their sockets are lost."""

    has_ended = True

    def guest(self, instance):
        if not self.is_running(instance):
            return None
        if self.has_ended:
            self.stop(instance, force=True)
        return self

    def has_node(self, node):
        raise MachineMissing(node)


@pytest.mark.parametrize("has_ended", [True, False])
def test_a_merge_whose_guest_powers_off_goes_on_without_it(cloud, has_ended):
    """One that runs and cannot be spoken to keeps nobody waiting in the lane."""
    instance = an_instance(cloud, status=InstanceStatus.RUNNING)
    with cloud.ports.database.read() as tx:
        disk = disks.all(tx)[0]
    write(cloud, disk.volume, 1, 0)
    (snapshot,) = snapshot_now(cloud, instance.id)
    forget_snapshot(cloud, snapshot)
    head = head_of(cloud, disk.id)
    sweep(cloud.ports)
    run(cloud, instance.id)
    machines = PoweredOff(cloud.folder / "run")
    machines.has_ended = has_ended
    cloud.worker = Worker(replace(cloud.ports, machines=machines), DUTIES, unfinished)
    (task,) = cloud.open_tasks()

    cloud.settle()
    cloud.clock.now += 1
    cloud.settle()

    with cloud.ports.database.read() as tx:
        ended = tasks.find(tx, id=task.id)
    assert ended.status == ("Finished" if has_ended else "Failed")
    assert (cloud.ports.pool.parent(head) is None) == has_ended
    assert reads_as(cloud, head, 1)


def test_leaves_the_lane_when_a_merge_fails_and_tries_again_after_a_rest(cloud):
    instance = an_instance(cloud)
    with cloud.ports.database.read() as tx:
        disk = disks.all(tx)[0]
    write(cloud, disk.volume, 1, 0)
    (snapshot,) = snapshot_now(cloud, instance.id)
    forget_snapshot(cloud, snapshot)
    head = head_of(cloud, disk.id)
    sweep(cloud.ports)
    image = cloud.call("CreateImage", InstanceId=instance.id)["ImageId"]

    with written_by_another(cloud, head):
        (task,) = cloud.worker.claim(cloud.clock())
        cloud.worker.attempt(task)

    assert [waiting.action for waiting in cloud.open_tasks()] == ["CreateImage"]
    assert [row.task for row in every(cloud, volumes) if row.state == "ready"] == [None] * 2
    cloud.settle()
    assert cloud.call("DescribeImages", ImageId=image)["Images"]["Image"][0]["Status"] == "Available"
    sweep(cloud.ports)
    assert cloud.open_tasks() == []
    cloud.clock.now += 5
    keep(cloud)
    assert cloud.ports.pool.parent(head) is None
    assert reads_as(cloud, head, 1)
