"""Copying snapshots: what CopyImage and CopySnapshot share.

A copy is a snapshot with an ID, a region and a life of its own, and it names the
layer that the source names: within a pool no byte is copied. It names it from
its first row on, so that the source may be deleted the moment it is there, and
whichever goes first, the layer stays as long as one of them is there.

Between regions a copy is finished by a task, disk after disk; within one there
is nothing left to do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Annotated

from kiln.calls.call import Call, Job
from kiln.declare.errors import ApiError
from kiln.declare.facts import facts
from kiln.declare.rules import Count, Declined, Doc, Unordered, Wire
from kiln.declare.states import SnapshotStatus, TaskStatus
from kiln.ground.killpoints import reach
from kiln.operations.errors.copies import InvalidParameterKmsNotEnabled
from kiln.operations.errors.tags import QuotaExceedTags
from kiln.operations.params import ResourceGroupId, TagInput
from kiln.operations.steps.drafts import new_snapshot
from kiln.pools.errors import VolumeBroken, VolumeMissing
from kiln.store import tags
from kiln.store.database import Transaction
from kiln.store.snapshots import Snapshot, snapshots
from kiln.store.tasks import tasks

#: How many copies to a region are made at once; further ones wait. Source: ecs-api.md 6, CopyImage.
_AT_ONCE = 5

#: What whoever copies may say of an image and of a snapshot alike.
Encrypted = Annotated[
    bool | None,
    Declined(
        "Kiln does not encrypt volumes; the file system that holds the pool may be encrypted",
        InvalidParameterKmsNotEnabled,
    ),
    Doc("Whether the copy is encrypted."),
]
KmsKeyId = Annotated[str | None, Wire("KMSKeyId"), Doc("The key, with Encrypted alone.")]
GroupOfCopy = Annotated[ResourceGroupId | None, Doc("The resource group of the copy.")]
TagsOfCopy = Annotated[
    tuple[TagInput, ...],
    Unordered(),
    Count(20, QuotaExceedTags),
    Doc("Tags of the copy. Those of the source are not copied."),
]

_DONE = 100  #: Per cent.


@facts()
class Copied:
    """One snapshot that is a copy, and the layer that it names."""

    snapshot: str
    layer: str


@facts()
class CopyFacts:
    """What CopyImage and CopySnapshot remember."""

    snapshots: tuple[Copied, ...]


def draft(
    call: Call,
    source: Snapshot,
    *,
    region: str,
    name: str,
    description: str,
    made_for: str,
    resource_group: str,
    retention_days: int = 0,
) -> Snapshot:
    """A snapshot in *region* that is a copy of *source*, which is accomplished, and is progressing still."""
    made = new_snapshot(
        account=call.account,
        region=region,
        created_at=call.now,
        name=name,
        description=description,
        made_for=made_for,
        disk_type=source.source_disk_type,
        disk_size_gib=source.source_disk_size_gib,
        category=source.category,
        device=source.device,
        resource_group=resource_group,
        system=source.system,
    )
    return replace(
        made,
        volume=source.volume,
        size_bytes=source.size_bytes,
        consistency=source.consistency,
        from_released_system=source.from_released_system,
        retention_days=retention_days,
        # Of another's image its snapshots are not told.
        source_snapshot=source.id if source.account == call.account else "",
        source_region=source.region,
    )


def finished(copies: Sequence[Snapshot]) -> tuple[Snapshot, ...]:
    """The rows of copies that are accomplished when they are first written."""
    return tuple(replace(copy, status=SnapshotStatus.ACCOMPLISHED, progress=_DONE) for copy in copies)


def remembered(copies: Sequence[Snapshot]) -> CopyFacts:
    """The facts that the task needs."""
    return CopyFacts(snapshots=tuple(Copied(snapshot=copy.id, layer=copy.volume or "") for copy in copies))


def pick_lane(call: Call, region: str) -> str:
    """Of the lanes of the region's copies the one with the least to do."""
    lanes = [f"copy:{region}:{n}" for n in range(_AT_ONCE)]
    return min(lanes, key=lambda lane: tasks.count(call.tx, lane=lane, status=TaskStatus.PROCESSING))


def carry(job: Job[CopyFacts], tell: Callable[[Transaction, int], None]) -> None:
    """Finish the copies one by one; *tell* records how many per cent of them are done.

    Raises PoolError where a layer is not whole in the pool: nobody is told then that the copy holds it.
    """
    copies = job.facts.snapshots
    for n, one in enumerate(copies, 1):
        reach("copying.before")
        size_bytes = _look(job, one.layer)

        def accomplish(tx: Transaction, one: Copied = one, n: int = n, size_bytes: int = size_bytes) -> None:
            changes = {"progress": _DONE, "size_bytes": size_bytes}
            snapshots.move(tx, SnapshotStatus.PROGRESSING, SnapshotStatus.ACCOMPLISHED, changes, id=one.snapshot)
            tell(tx, _DONE * n // len(copies))

        job.write(accomplish)
        reach("copying.accomplished")


def _look(job: Job[CopyFacts], layer: str) -> int:
    """The layer's size in bytes, once its chain was seen to be there, each file as long as it was made.

    Raises PoolError. A layer that is not there will not come back: the copy's own row has kept it from being merged.
    """
    try:
        job.ports.pool.files(layer)
        return job.ports.pool.size(layer)
    except VolumeMissing as error:
        raise VolumeBroken(f"there is no volume {error} any more") from error


def abandon(tx: Transaction, job: Job[CopyFacts], error: ApiError) -> None:
    """Record in *tx* that there is no copy, and the task's end. What is not accomplished lets go of its layer."""
    job.fail(tx, error)
    for one in job.facts.snapshots:
        snapshots.move(tx, SnapshotStatus.PROGRESSING, SnapshotStatus.FAILED, {"volume": None}, id=one.snapshot)


def remove(tx: Transaction, ids: Sequence[str]) -> None:
    """Remove copies that were cancelled, as if they had never been."""
    for snapshot in ids:
        snapshots.delete(tx, id=snapshot)
        tags.drop(tx, "snapshot", snapshot)
