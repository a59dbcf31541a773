"""What must be true of a Kiln that was killed and started again, whatever it was doing."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from kiln.declare.states import DiskStatus, ImageStatus, InstanceStatus, SnapshotStatus
from kiln.store.disks import disks
from kiln.store.images import disks_of, images
from kiln.store.instances import instances
from kiln.store.snapshots import snapshots
from kiln.store.volumes import volumes
from kiln.upkeep.fsck import fsck
from tests.clouds import Cloud
from tests.pools.patterns import all_hold, holds
from tests.reading import every, the

Bytes = list[int]  #: What each of a volume's first blocks is filled with; see ``tests.pools.patterns``.

_ENDS = {
    images: {ImageStatus.AVAILABLE, ImageStatus.CREATE_FAILED, ImageStatus.DEPRECATED},
    snapshots: {SnapshotStatus.ACCOMPLISHED, SnapshotStatus.FAILED},
    instances: {InstanceStatus.RUNNING, InstanceStatus.STOPPED},
    disks: {DiskStatus.AVAILABLE, DiskStatus.IN_USE},
}


#: What is still to be read: volume, its bytes, and whose they are. None: everything is read at once.
_unread: list[tuple[str, Bytes, str]] | None = None


#: What held the bytes that it was to hold, by all that QEMU is told and reads of it; see ``_seen``.
_held: set[tuple[str, ...]] = set()


@contextmanager
def reading_together(cloud: Cloud) -> Iterator[None]:
    """Have all that checks say to hold bytes in this context read at its end, by one process of QEMU's."""
    global _unread  # noqa: PLW0603 - there is one check at a time.
    _unread = wanted = []
    try:
        yield
    finally:
        _unread = None
    # To start what reads takes longer than to see that every byte is what it was when it read right.
    digest = cache(lambda path: hashlib.sha256(path.read_bytes()).hexdigest())
    seen = {_seen(cloud, volume, blocks, digest): (volume, blocks, whose) for volume, blocks, whose in wanted}
    # Of bytes that are in no file of ours nobody can say that they are what they were.
    unknown = [one for key, one in seen.items() if key not in _held or not cloud.ports.pool.files(one[0])]
    to_read = [(volume, dict(enumerate(blocks)), len(blocks)) for volume, blocks, _ in unknown]
    if not all_hold(cloud.ports.pool, to_read):
        for volume, blocks, whose in unknown:
            _holds(cloud, volume, blocks, whose)
        raise AssertionError("what read wrong reads right the second time")
    _held.update(seen)


def _seen(cloud: Cloud, volume: str, blocks: Bytes, digest: Callable[[Path], str]) -> tuple[str, ...]:
    """What a reading comes to by: the block nodes, every byte of every file below them, and what is expected."""
    pool = cloud.ports.pool
    nodes = json.dumps(pool.blockdevs(volume)).replace(str(cloud.folder), "")
    return (nodes, *map(digest, pool.files(volume)), repr(blocks))


def is_encrypted(cloud: Cloud, volume: str) -> bool:
    """Whether the bytes of a volume's own file are."""
    return "encrypt" in cloud.ports.pool.blockdevs(volume)[-1]


def nothing_is_halfway(cloud: Cloud) -> None:
    """Every resource has come to rest, and nothing that was planned has stayed planned."""
    for rows, ends in _ENDS.items():
        halfway = [(row.id, row.status) for row in every(cloud, rows) if row.status not in ends]
        assert not halfway, f"halfway: {halfway}"
    unready = [(row.id, row.state, row.task) for row in every(cloud, volumes) if row.state != "ready" or row.task]
    assert not unready, f"not ready: {unready}"


def nothing_is_astray(cloud: Cloud) -> None:
    """The pool holds what rows name and nothing else, no draft is left, and fsck has nothing to say."""
    known = {row.id for row in every(cloud, volumes)}
    held = set(cloud.ports.pool.volumes())
    assert held == known, f"strays {held - known}, missing {known - held}"
    drafts = [path.name for path in cloud.folder.rglob(".tmp-*")]
    assert not drafts, f"drafts: {drafts}"
    findings = fsck(cloud.ports, repair=False, say=lambda _: None)
    assert not findings, findings


def every_name_is_kept(cloud: Cloud) -> None:
    """What images, snapshots and disks name is there, and no volume is there that nothing leads to."""
    with cloud.ports.database.read() as tx:
        of_images = [disk for row in images.all(tx) for disk in disks_of(tx, [row.id])[row.id]]
    kept = {row.id for row in every(cloud, snapshots)}
    assert {disk.snapshot for disk in of_images if disk.snapshot} <= kept
    rows = {row.id: row for row in every(cloud, volumes)}
    named = {row.volume for row in (*every(cloud, snapshots), *every(cloud, disks)) if row.volume is not None}
    assert named <= rows.keys()
    reached: set[str] = set()
    for name in named:
        below: str | None = name
        while below is not None and below not in reached:
            reached.add(below)
            below = rows[below].parent
    assert rows.keys() == reached, f"nothing leads to {rows.keys() - reached}"


def image_holds(cloud: Cloud, image_id: str, wanted: list[Bytes]) -> None:
    """The image is Available and its disks, in order, hold these bytes; an empty one is a blank disk."""
    image = the(cloud, images, id=image_id)
    assert (image.status, image.progress) == (ImageStatus.AVAILABLE, 100), (image.status, image.error_message)
    with cloud.ports.database.read() as tx:
        found = disks_of(tx, [image_id])[image_id]
    assert len(found) == len(wanted)
    for disk, blocks in zip(found, wanted, strict=True):
        assert bool(disk.snapshot) == bool(blocks), disk
        if blocks:
            snapshot_holds(cloud, disk.snapshot, blocks)


def snapshot_holds(cloud: Cloud, snapshot_id: str, blocks: Bytes) -> None:
    """The snapshot is accomplished and holds these bytes."""
    snapshot = the(cloud, snapshots, id=snapshot_id)
    assert (snapshot.status, snapshot.progress) == (SnapshotStatus.ACCOMPLISHED, 100), snapshot.status
    assert snapshot.volume is not None
    _holds(cloud, snapshot.volume, blocks, snapshot_id)


def disk_holds(cloud: Cloud, disk_id: str, blocks: Bytes) -> None:
    """The disk has a head of its own, and reads as these bytes."""
    disk = the(cloud, disks, id=disk_id)
    assert disk.volume is not None
    row = the(cloud, volumes, id=disk.volume)
    assert row.kind == "head", row
    _holds(cloud, disk.volume, blocks, disk_id)


def _holds(cloud: Cloud, volume: str, blocks: Bytes, whose: str) -> None:
    if _unread is not None:
        _unread.append((volume, blocks, whose))
        return
    assert holds(cloud.ports.pool, volume, dict(enumerate(blocks)), len(blocks)), f"{whose} reads as something else"
