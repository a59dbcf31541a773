"""Pages of the database that a disk lost, tore, or brought back from before.

A data folder is made with images that were made before and after a copy of its
database. Then each page is replaced in turn, Kiln is started on the result,
does its upkeep and is checked by fsck, and whatever it believed, no byte of any
image that was Available may be gone.
"""

from __future__ import annotations

import shutil
import sqlite3
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from random import Random

from kiln.calls.call import Ports
from kiln.service import errors
from kiln.store.images import disks_of, images
from kiln.store.snapshots import snapshots
from kiln.store.volumes import chain
from kiln.upkeep.fsck import fsck
from kiln.upkeep.sweep import sweep
from tests.clouds import Cloud
from tests.kill.kilns import keep, open_kiln, settle
from tests.pools.patterns import BLOCK
from torment.campaign import Outcome, Place, Skipped, Verdict

_BUCKET = "bucket"
_REFUSALS = tuple(kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Exception))


@dataclass(frozen=True)
class Made:
    """A data folder at rest, with what its database was before."""

    data: Path
    older: bytes
    newer: bytes
    page_bytes: int
    owners: Mapping[int, str]  #: The table or index of each page, by its number from 1.
    kept: Mapping[str, int]  #: Every volume that an Available image needs, and how long its file is at least.


def run(place: Place) -> Iterator[Outcome]:
    """See the module."""
    if shutil.which("qemu-img") is None:
        raise Skipped("needs qemu-img")
    made = _make(place.folder / "made")
    pages = len(made.newer) // made.page_bytes
    members = [(page, how) for page in range(1, pages + 1) for how in _DAMAGES]
    chosen = members if len(members) <= place.tries else place.chance.sample(members, place.tries)
    for page, how in chosen:
        damaged = _damage(made, page, _DAMAGES[how], place.chance)
        if damaged == made.newer:
            continue
        subject = f"page {page} ({made.owners.get(page, 'nobody')}) {how}"
        yield _try(made, damaged, place.folder / "tried", subject)


def _make(data: Path) -> Made:
    with open_kiln(data) as cloud:
        (data / "buckets" / _BUCKET).mkdir(parents=True, exist_ok=True)
        (data / "buckets" / _BUCKET / "disk.raw").write_bytes(b"".join(bytes([n]) * BLOCK for n in range(1, 5)))
        source = {"DiskDeviceMapping.1.OSSBucket": _BUCKET, "DiskDeviceMapping.1.OSSObject": "disk.raw"}
        base = cloud.call("ImportImage", source, ImageName="base")["ImageId"]
        settle(cloud)
        answer = cloud.call("RunInstances", ImageId=base, InstanceType="ecs.t5-lc2m1.nano", Amount=2)
        first, second = answer["InstanceIdSets"]["InstanceIdSet"]
        settle(cloud)
        for n in range(3):
            cloud.call("CreateImage", {"Tag.1.Key": "n", "Tag.1.Value": n}, InstanceId=first, ImageName=f"before-{n}")
            settle(cloud)
        older = _database(data)
        for n in range(3):
            cloud.call("CreateImage", InstanceId=second, ImageName=f"after-{n}")
            settle(cloud)
        _delete_one(cloud)
        keep(cloud)
        kept = _kept(cloud)
    with closing(sqlite3.connect(data / "kiln.sqlite")) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (page_bytes,) = database.execute("PRAGMA page_size").fetchone()
        owners = _owners(database)
    newer = (data / "kiln.sqlite").read_bytes()
    return Made(data=data, older=older, newer=newer, page_bytes=page_bytes, owners=owners, kept=kept)


def _delete_one(cloud: Cloud) -> None:
    """One image with its snapshots goes, so that there is something to be given back and merged."""
    (row,) = cloud.call("DescribeImages", ImageName="before-1")["Images"]["Image"]
    cloud.call("DeleteImage", ImageId=row["ImageId"])
    for mapping in row["DiskDeviceMappings"]["DiskDeviceMapping"]:
        cloud.call("DeleteSnapshot", SnapshotId=mapping["SnapshotId"])


def _database(data: Path) -> bytes:
    """The database as one file, whatever still stands in its log."""
    copy = data.with_name("older.sqlite")
    with closing(sqlite3.connect(data / "kiln.sqlite")) as database, closing(sqlite3.connect(copy)) as target:
        database.backup(target)
    return copy.read_bytes()


def _owners(database: sqlite3.Connection) -> dict[int, str]:
    try:
        return dict(database.execute("SELECT pageno, name FROM dbstat"))
    except sqlite3.OperationalError:  # SQLite was built without that table: pages go by their numbers alone.
        return {}


def _kept(cloud: Cloud) -> dict[str, int]:
    found: dict[str, int] = {}
    with cloud.ports.database.read() as tx:
        for image in images.all(tx, status="Available"):
            for disk in disks_of(tx, [image.id])[image.id]:
                snapshot = snapshots.find(tx, id=disk.snapshot)
                if snapshot is not None and snapshot.volume is not None:
                    for volume in chain(tx, snapshot.volume):
                        found[volume] = cloud.ports.pool.length(volume)
    return found


def _stale(_: bytes, older: bytes, __: Random) -> bytes:
    return older


def _torn(newer: bytes, older: bytes, chance: Random) -> bytes:
    at = 512 * chance.randrange(1, max(2, len(newer) // 512))
    return newer[:at] + (older or bytes(len(newer)))[at:]


def _zeroed(newer: bytes, _: bytes, __: Random) -> bytes:
    return bytes(len(newer))


def _noise(newer: bytes, _: bytes, chance: Random) -> bytes:
    return chance.randbytes(len(newer))


def _one_bit(newer: bytes, _: bytes, chance: Random) -> bytes:
    at = chance.randrange(len(newer))
    return newer[:at] + bytes([newer[at] ^ 1 << chance.randrange(8)]) + newer[at + 1 :]


#: What a page becomes, of its present and its former bytes.
_DAMAGES: Mapping[str, Callable[[bytes, bytes, Random], bytes]] = {
    "stale": _stale,
    "torn": _torn,
    "zeroed": _zeroed,
    "noise": _noise,
    "one bit": _one_bit,
}


def _damage(made: Made, page: int, how: Callable[[bytes, bytes, Random], bytes], chance: Random) -> bytes:
    begin, end = (page - 1) * made.page_bytes, page * made.page_bytes
    newer, older = made.newer[begin:end], made.older[begin:end]
    return made.newer[:begin] + how(newer, older or newer, chance) + made.newer[end:]


def _try(made: Made, damaged: bytes, data: Path, subject: str) -> Outcome:
    shutil.rmtree(data, ignore_errors=True)
    shutil.copytree(made.data, data)
    for leftover in data.glob("kiln.sqlite*"):
        leftover.unlink()
    (data / "kiln.sqlite").write_bytes(damaged)
    try:
        with open_kiln(data) as cloud:
            _look_after(cloud)
    except _REFUSALS:
        pass
    except Exception:  # noqa: BLE001 - whatever else comes out of a start is what is looked for.
        return Outcome(subject, Verdict.FAILED, traceback.format_exc(limit=-3).replace("\n", " | "))
    gone = {volume for volume, length in made.kept.items() if not _is_there(data, volume, length)}
    if gone:
        return Outcome(subject, Verdict.LOST, f"volumes that an Available image needs: {', '.join(sorted(gone))}")
    return Outcome(subject)


def _look_after(cloud: Cloud) -> None:
    """What a served Kiln does in its first minutes; a chore that fails is logged there, and tried again."""

    def work(ports: Ports) -> None:
        for task in cloud.worker.claim(ports.clock()):
            cloud.worker.attempt(task)

    def check(ports: Ports) -> None:
        fsck(ports, repair=True, say=lambda _: None)

    for chore in (sweep, work, sweep, work, check, sweep):
        try:
            chore(cloud.ports)
        except Exception:  # noqa: BLE001 - as the keeper has it.
            continue


def _is_there(data: Path, volume: str, length: int) -> bool:
    """Whether the bytes are in the pool, wherever in it: what was set aside can be put back."""
    return any(path.stat().st_size >= length for path in (data / "pool").rglob(f"{volume}.qcow2*"))
