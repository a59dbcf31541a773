"""Getting back what was deleted: images with their snapshots, snapshots, and disks.

What is asked for is checked and written down in one transaction, beside a
server that may be running: the rows of the volumes are planned, as before a
volume is made, and a task is to move the files back. A kill at any line leaves
that task to be done. Only when all files are in the pool are the names written
again, all at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import field, replace
from typing import TypeVar

from kiln.calls.call import Job, Ports
from kiln.declare.errors import ApiError, InternalError
from kiln.declare.facts import facts
from kiln.declare.states import DiskStatus, TaskStatus
from kiln.ground.journal import Journal
from kiln.ground.killpoints import reach
from kiln.ground.values import dataclass
from kiln.operations.images.delete_image import delete_image
from kiln.operations.steps.resource_groups import known_to_all
from kiln.store import images
from kiln.store.accounts import resource_groups
from kiln.store.database import Transaction
from kiln.store.disks import Disk, disks
from kiln.store.images import Image
from kiln.store.instances import instances
from kiln.store.resources import KINDS
from kiln.store.snapshot_groups import snapshot_groups
from kiln.store.snapshot_policies import snapshot_policies
from kiln.store.snapshots import Snapshot, snapshots
from kiln.store.tags import tags
from kiln.store.tasks import new_task, tasks
from kiln.store.tokens import tokens
from kiln.store.trash import (
    RESTORE,
    Discard,
    Tombstone,
    UnknownTombstone,
    being_restored,
    discards,
    forget_tombstones,
    tombstones,
)
from kiln.store.volumes import Volume, is_at_work, planned, reinstated, volumes
from kiln.upkeep.trash import give_back

EMPTY = "EmptyTrash"  #: The task that gives back what waits.

_AGAIN = "Try again in some seconds."

_Row = TypeVar("_Row", Image, Snapshot, Disk)

log = Journal("kiln.upkeep")


class NotRestorable(Exception):
    """What was asked for cannot be restored, or not now; *hint* says what to do, where there is something."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class NotNow(NotRestorable):
    """It cannot be restored at this moment, since something works on it: in some seconds it can."""

    def __init__(self, message: str) -> None:
        super().__init__(message, _AGAIN)


@facts()
class RestoreFacts:
    """What a restoring remembers: volumes in the trash, the lowest first, and others that only lack a name."""

    tombstones: tuple[str, ...]
    volumes: tuple[str, ...]
    living: tuple[str, ...]


@facts()
class EmptyFacts:
    """What is to go."""

    tombstones: tuple[str, ...]
    volumes: tuple[str, ...]


@dataclass
class _Needed:
    """What has to be there before a name can be: tombstones, volumes in the trash (the lowest first), living ones."""

    stones: list[Tombstone] = field(default_factory=list)
    aside: list[Discard] = field(default_factory=list)
    living: list[str] = field(default_factory=list)


def prepare(tx: Transaction, ports: Ports, wanted: str) -> str:
    """Write down that *wanted*, the ID of something deleted, is to come back; returns the task.

    Raises NotRestorable, NotNow.
    """
    if tasks.count(tx, action=RESTORE, resource=wanted, status=TaskStatus.PROCESSING):
        raise NotRestorable(f"{wanted} is being restored already")
    needed = _Needed()
    try:
        _need(tx, ports, needed, _stone(tx, wanted))
    except UnknownTombstone as error:
        raise NotRestorable(f"{wanted} was deleted by a newer Kiln", "Restore it with that one.") from error
    remembered = RestoreFacts(
        tombstones=tuple(stone.id for stone in needed.stones),
        volumes=tuple(discard.id for discard in needed.aside),
        living=tuple(needed.living),
    )
    task = new_task(RESTORE, wanted, remembered, ports.clock())
    tasks.insert(tx, task)
    volumes.update(tx, {"task": task.id}, volumes.c.id.in_(needed.living))
    for discard in needed.aside:
        discards.delete(tx, id=discard.id)
        volumes.insert(tx, _planned(discard, task.id, ports.clock()))
    return task.id


def restore(job: Job[RestoreFacts]) -> None:
    """Move the files back, and write the names. Raises VolumeMissing, InternalError where the names are gone."""
    for volume in job.facts.volumes:
        reach("restore.before")
        job.ports.pool.retrieve(volume)
        reach("restore.retrieved")
    lost = _lost(job)
    job.write(lambda tx: _settle(tx, job, lost))
    reach("restore.settled")


def give_up(job: Job[RestoreFacts], error: ApiError) -> None:  # noqa: ARG001 - the task says why.
    """Leave what came back to the sweeper, who moves it aside once more; the tombstones stay."""

    def leave(tx: Transaction) -> None:
        volumes.update(tx, {"state": "doomed", "task": None}, volumes.c.id.in_(job.facts.volumes))
        volumes.update(tx, {"task": None}, volumes.c.id.in_(job.facts.living))

    job.write(leave)


def prepare_to_empty(tx: Transaction, ports: Ports, wanted: Iterable[str], older_than: float | None) -> str:
    """Write down that the trash is to be emptied: of the IDs, or of all; of what waits longer. Returns the task.

    *older_than* is in seconds. Raises NotRestorable for an ID that is not there.
    """
    latest = ports.clock() - (older_than or 0.0)
    stones = {stone.id: stone for stone in tombstones.all(tx) if stone.deleted_at <= latest}
    there = {discard.id for discard in discards.all(tx) if discard.discarded_at <= latest}
    ids, under_way = list(wanted), being_restored(tx)
    stones = {one: stone for one, stone in stones.items() if one not in under_way}
    for one in ids:
        if one in under_way:
            raise NotNow(f"{one} is being restored")
        if one not in stones and one not in there:
            since = "" if older_than is None else " for so long"
            raise NotRestorable(f"there is no ID {one} in the trash{since}", "`kiln trash list` shows what there is.")
    if ids:
        wanted_stones = {one: stones[one] for one in ids if one in stones}
        own = {volume for stone in wanted_stones.values() for volume in volumes_of(stone)}
        # A snapshot and its copy are names of one layer: while one of them waits, it can be restored.
        kept = {volume for stone in tombstones.all(tx) if stone.id not in ids for volume in _known_volumes(stone)}
        stones, there = wanted_stones, there & (own - kept | set(ids))
    remembered = EmptyFacts(tombstones=tuple(sorted(stones)), volumes=tuple(sorted(there)))
    task = new_task(EMPTY, "", remembered, ports.clock())
    tasks.insert(tx, task)
    return task.id


def empty(job: Job[EmptyFacts]) -> None:
    """Remove the tombstones, and give back the volumes as far as nothing stands on them."""
    job.write(lambda tx: forget_tombstones(tx, tombstones.c.id.in_(job.facts.tombstones)))
    reach("empty.forgotten")
    give_back(job.ports, job.facts.volumes)
    reach("empty.given_back")


def volumes_of(stone: Tombstone) -> list[str]:
    """The volumes that a deleted snapshot or disk was; an image names snapshots alone. Raises UnknownTombstone."""
    return [row["volume"] for table in ("snapshots", "disks") for row in stone.of(table)]


def _known_volumes(stone: Tombstone) -> list[str]:
    """The same, and none of what a newer Kiln wrote."""
    try:
        return volumes_of(stone)
    except UnknownTombstone:
        return []


def _stone(tx: Transaction, wanted: str) -> Tombstone:
    stone = tombstones.find(tx, id=wanted)
    if stone is not None:
        return stone
    if any(rows.find(tx, id=wanted) is not None for rows in KINDS.values()):
        raise NotRestorable(f"{wanted} is not deleted")
    if discards.find(tx, id=wanted) is not None:
        raise NotRestorable(f"{wanted} is a volume, and comes back with the snapshot or the disk that it was")
    raise NotRestorable(f"there is no ID {wanted} in the trash", "`kiln trash list` shows what there is.")


def _need(tx: Transaction, ports: Ports, needed: _Needed, stone: Tombstone) -> None:
    """Add what the tombstone takes, or raise NotRestorable."""
    needed.stones.append(stone)
    if stone.noun == "image":
        _need_image(tx, ports, needed, stone)
    elif KINDS[stone.noun].find(tx, id=stone.id) is not None:
        raise NotRestorable(f"there is a {stone.noun} {stone.id} again")
    if stone.noun == "snapshot":
        limit = ports.deployment.quotas.snapshots
        if snapshots.count(tx, account=stone.account, region=stone.region) >= limit:
            raise NotRestorable(f"the account has {limit} snapshots, which is the most", "Delete one of them first.")
    for volume in volumes_of(stone):
        _need_volume(tx, needed, stone, volume)


def _need_image(tx: Transaction, ports: Ports, needed: _Needed, stone: Tombstone) -> None:
    if images.images.find(tx, id=stone.id) is not None:
        raise NotRestorable(f"there is an image {stone.id} again")
    if stone.name and images.is_name_taken(tx, stone.account, stone.region, stone.name):
        raise NotRestorable(
            f"the account has another image that is named {stone.name}", "Give that one another name, or delete it."
        )
    limit = ports.deployment.quotas.images
    if images.images.count(tx, account=stone.account, region=stone.region) >= limit:
        raise NotRestorable(f"the account has {limit} images, which is the most", "Delete one of them first.")
    for disk in stone.of("image_disks"):
        snapshot = disk["snapshot"]
        if not snapshot or snapshots.find(tx, id=snapshot) is not None:
            continue
        below = tombstones.find(tx, id=snapshot)
        if below is None:
            raise NotRestorable(f"the snapshot {snapshot} that {stone.id} was made of is gone for good")
        _need(tx, ports, needed, below)


def _need_volume(tx: Transaction, needed: _Needed, stone: Tombstone, volume: str | None) -> None:
    """Add a volume and what it stands on, as far down as that is in the trash."""
    below: list[Discard] = []
    while volume is not None and volume not in {discard.id for discard in needed.aside}:
        living = volumes.find(tx, id=volume)
        if living is not None:
            if living.state != "ready" or (is_at_work(tx, living) and not below):
                raise NotNow(f"the volume {volume} of {stone.id} is being worked on")
            if not below:
                needed.living.append(volume)
            break
        discard = discards.find(tx, id=volume)
        if discard is None or discard.is_leaving:
            raise NotRestorable(f"the bytes of {stone.id} have been given back, and are gone")
        below.append(discard)
        volume = discard.parent
    needed.aside += reversed(below)


def _planned(discard: Discard, task: str, now: float) -> Volume:
    return planned(
        discard.id,
        discard.kind,
        discard.parent,
        discard.size_bytes,
        task=task,
        now=now,
        file_bytes=discard.file_bytes,
    )


def _lost(job: Job[RestoreFacts]) -> list[Volume]:
    """The rows of what came back and has none any more, as with a record that could not be read.

    Raises VolumeMissing, VolumeBroken.
    """
    pool, now = job.ports.pool, job.ports.clock()
    with job.ports.database.read() as tx:
        stones = [tombstones.find(tx, id=one) for one in job.facts.tombstones]
        gone = [one for one in (*job.facts.volumes, *job.facts.living) if volumes.find(tx, id=one) is None]
    heads = {row["volume"] for stone in stones if stone is not None for row in stone.of("disks")}
    return [
        reinstated(one, "head" if one in heads else "layer", pool.parent(one), pool.size(one), now=now) for one in gone
    ]


def _settle(tx: Transaction, job: Job[RestoreFacts], lost: Sequence[Volume]) -> None:
    """Write the names again, and that the task is done. An earlier run that did so had ended the task."""
    stones = [stone for one in job.facts.tombstones if (stone := tombstones.find(tx, id=one)) is not None]
    if len(stones) < len(job.facts.tombstones):
        log.error("tombstones_missing", task=job.task.id, resource=job.task.resource)
        raise InternalError
    ready = {"state": "ready", "task": None}
    volumes.update(tx, ready, volumes.c.id.in_([*job.facts.volumes, *job.facts.living]))
    volumes.insert(tx, *lost)
    for stone in stones:
        _write(tx, job.ports, stone)
        tombstones.delete(tx, id=stone.id)
    job.finish(tx)


def _write(tx: Transaction, ports: Ports, stone: Tombstone) -> None:
    for values in stone.of("images"):
        images.images.insert(tx, _grouped(tx, ports, images.images.of_values(values)))
        # That it was deleted is not true any more: whoever deletes it again shall be heard.
        tokens.delete(tx, account=stone.account, action=delete_image.name, token=stone.id)
    for values in stone.of("image_disks"):
        images.image_disks.insert(tx, images.image_disks.of_values(values))
    for values in stone.of("snapshots"):
        snapshots.insert(tx, _ungrouped(tx, _grouped(tx, ports, snapshots.of_values(values))))
    for values in stone.of("disks"):
        _write_disk(tx, _grouped(tx, ports, disks.of_values(values)), ports.clock())
    for values in stone.of("tags"):
        tags.insert(tx, tags.of_values(values))


def _grouped(tx: Transaction, ports: Ports, row: _Row) -> _Row:
    """The row, in its resource group only if its account has that still."""
    group = row.resource_group
    is_there = group in known_to_all(ports.deployment, row.account) or (
        resource_groups.count(tx, account=row.account, id=group) > 0
    )
    return row if is_there else replace(row, resource_group="")


def _ungrouped(tx: Transaction, snapshot: Snapshot) -> Snapshot:
    """The snapshot, in its group only if that is there still."""
    is_there = bool(snapshot.snapshot_group) and snapshot_groups.count(tx, id=snapshot.snapshot_group) > 0
    return snapshot if is_there else replace(snapshot, snapshot_group="")


def _write_disk(tx: Transaction, disk: Disk, now: float) -> None:
    """A disk comes back attached to nothing; one that was a system disk as one that outlived its instance.

    With its policy for automatic snapshots only if that is there still: else it would seem to be backed up.
    """
    has_policy = bool(disk.snapshot_policy) and snapshot_policies.count(tx, id=disk.snapshot_policy) > 0
    has_home = bool(disk.home) and instances.find(tx, id=disk.home) is not None
    if disk.type == "system" and not has_home:
        disk = replace(disk, type="data", was_system=True)
    disks.insert(
        tx,
        replace(
            disk,
            status=DiskStatus.AVAILABLE,
            instance=None,
            device="",
            detached_at=disk.detached_at if disk.instance is None else now,
            home=disk.home if has_home else "",
            awaits_restart=False,
            snapshot_policy=disk.snapshot_policy if has_policy else "",
        ),
    )
