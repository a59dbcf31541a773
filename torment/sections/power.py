"""Power cuts: a served Kiln works on a recorded disk, and is started again on what each cut could have left of it.

The promise of an image begins when its caller was told that it is Available,
and ends when he asks that it be deleted. Whatever the moment of the cut, what
is promised then is whole, and everything else has come to an end or is gone.
"""

from __future__ import annotations

import shutil
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kiln.ground.units import MiB
from kiln.service.pairing import advance, require_pair
from kiln.service.settings import read_settings
from kiln.testing import Served, start_kiln
from kiln.upkeep.recorder import Recorder
from tests.kill import checks
from tests.kill.callers import BUCKET, Caller, Load, Truth
from tests.kill.kilns import keep, open_kiln, settle
from tests.pools.patterns import BLOCK
from torment import blocklog
from torment.campaign import Outcome, Place, Skipped, Verdict

_SIZE = 256 * MiB
_DEEDS, _DEEDS_FOR_A_FEW = 40, 8
_FEW = 20
_PATIENCE_S = 240.0
_BASE: checks.Bytes = [1, 2, 3, 4]


@dataclass
class Promise:
    """That an image holds these bytes, while the log of writes is so long."""

    image: str
    holds: list[checks.Bytes]
    since: int
    until: int | None = None

    def stands_at(self, length: int) -> bool:
        """Whether it stood when the log had this length."""
        return self.since <= length and (self.until is None or length < self.until)


class Witness(Caller):
    """Writes down when which image was promised."""

    disk: blocklog.Recorded
    promises: dict[str, Promise]

    def image_comes(self, image: str) -> None:
        """See ``Caller``."""
        super().image_comes(image)
        self.promises[image] = Promise(image, self.truth.images.get(image, [_BASE]), self.disk.recorded())

    def ask(self, action: str, /, *, over: str = "", **params: Any) -> dict[str, Any]:
        """See ``Caller``."""
        if action == "DeleteImage":
            self.promises[params["ImageId"]].until = self.disk.recorded()
        return super().ask(action, over=over, **params)


def run(place: Place) -> Iterator[Outcome]:
    """See the module."""
    missing = [tool for tool in ("qemu-img", "qemu-io") if shutil.which(tool) is None]
    if missing:
        raise Skipped(f"needs {', '.join(missing)}")
    promises, begin = _live(place)
    writes = blocklog.read_log(place.folder)
    first = next(n for n, write in enumerate(writes) if write.end >= begin)
    left, mounted = place.folder / "left", place.folder / "again"
    for until in sorted(place.chance.randrange(first, len(writes) + 1) for _ in range(place.tries)):
        how = blocklog.cut(place.folder, writes, until, place.chance, left)
        length = writes[until - 1].end
        standing = [promise for promise in promises if promise.stands_at(length)]
        subject = f"cut after write {until} of {len(writes)}, {how}, {len(standing)} images promised"
        with blocklog.mounted_copy(left, mounted):
            yield _try(mounted / "data", standing, subject)


def _live(place: Place) -> tuple[list[Promise], int]:
    """What was promised in the course of a Kiln's life, and how long the log was when it began to work."""
    with blocklog.record(place.folder, _SIZE) as disk:
        data = disk.folder / "data"
        promises: dict[str, Promise] = {}
        witness = type("Witness", (Witness,), {"disk": disk, "promises": promises})
        (data / "buckets" / BUCKET).mkdir(parents=True)
        with start_kiln(data) as kiln, witness(kiln, Truth()) as caller:
            base = _import_base(kiln, caller)
            begin = disk.recorded()
            _work(place, kiln, witness, base)
            kiln.kill9()
        return list(promises.values()), begin


def _import_base(kiln: Served, caller: Caller) -> tuple[str, list[checks.Bytes]]:
    (kiln.data / "buckets" / BUCKET / "base.raw").write_bytes(b"".join(bytes([byte]) * BLOCK for byte in _BASE))
    mapping = {"DiskDeviceMapping.1.OSSBucket": BUCKET, "DiskDeviceMapping.1.OSSObject": "base.raw"}
    image = caller.ask("ImportImage", **mapping)["ImageId"]
    caller.image_comes(image)
    return image, [_BASE]


def _work(place: Place, kiln: Served, caller: type[Caller], base: tuple[str, list[checks.Bytes]]) -> None:
    """Two callers, each with an instance of his own, do what callers do."""
    wanted = _DEEDS_FOR_A_FEW if place.tries <= _FEW else _DEEDS
    load = [Load(kiln, base, place.chance.randrange(2**32), caller=caller) for _ in range(2)]
    for one in load:
        one.start()
    deadline = time.monotonic() + _PATIENCE_S
    while sum(one.done for one in load) < wanted and not any(one.error for one in load):
        if time.monotonic() > deadline:
            break
        time.sleep(0.05)
    for one in load:
        one.stop()
    for one in load:
        one.join()
        if one.error is not None:
            raise one.error


def _try(data: Path, standing: list[Promise], subject: str) -> Outcome:
    try:
        require_pair(read_settings({}, data=data, machines="none"), strays=True)  # As serve asks for it.
        with open_kiln(data) as cloud:
            paired = advance(cloud.ports.database, cloud.ports.pool, cloud.clock())
            settle(cloud)
            keep(cloud)
            checks.nothing_is_halfway(cloud)
            checks.every_name_is_kept(cloud)
            checks.nothing_is_astray(cloud)
            for promise in standing:
                try:
                    checks.image_holds(cloud, promise.image, promise.holds)
                except Exception as error:  # noqa: BLE001 - whatever keeps it from being read, it was promised.
                    return Outcome(subject, Verdict.LOST, f"{promise.image}: {error!r}")
            recorder = Recorder(cloud.ports.database, cloud.ports.pool.records, paired.id)
            recorder.compare()
            recorder.flush()
    except Exception:  # noqa: BLE001 - whatever a start raises is what is looked for.
        return Outcome(subject, Verdict.FAILED, traceback.format_exc(limit=-3).replace("\n", " | "))
    return Outcome(subject)
