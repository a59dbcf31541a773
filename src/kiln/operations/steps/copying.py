"""Copying snapshots: what CopyImage and CopySnapshot share.

A copy is a snapshot with an ID, a region and a life of its own, and it names the
layer that the source names: within a pool no byte is copied. It names it from
its first row on, so that the source may be deleted the moment it is there, and
whichever goes first, the layer stays as long as one of them is there.

A copy that is to be encrypted with another key than its source, or with one at
all, has bytes of its own. The layer that they will be is planned above the one
that they are read from, which stays for as long.

Between regions a copy is finished by a task, disk after disk, and so is one whose
bytes are written anew; else there is nothing left to do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Annotated

from kiln.calls.call import Call, Job
from kiln.declare.errors import ApiError
from kiln.declare.facts import facts
from kiln.declare.ids import new_id
from kiln.declare.rules import Count, Doc, Unordered
from kiln.declare.states import SnapshotStatus, TaskStatus
from kiln.ground.killpoints import reach
from kiln.ground.values import dataclass
from kiln.operations.errors.tags import QuotaExceedTags
from kiln.operations.params import ResourceGroupId, TagInput
from kiln.operations.steps import encryption, transfer
from kiln.operations.steps.drafts import new_snapshot
from kiln.operations.steps.transfer import TaskCancelled, Watch
from kiln.pools.errors import Cancelled, VolumeBroken, VolumeMissing
from kiln.store import tags
from kiln.store.database import Transaction
from kiln.store.snapshots import Snapshot, snapshots
from kiln.store.tasks import tasks
from kiln.store.volumes import make_ready, planned, reinstated, volumes

#: How many copies to a region are made at once; further ones wait. Source: ecs-api.md 6, CopyImage.
_AT_ONCE = 5

#: What whoever copies may say of an image and of a snapshot alike.
Encrypted = Annotated[
    bool | None,
    Doc(
        "Whether the copy is encrypted, and has bytes of its own. Without it, it is as the source is; of an encrypted "
        "one nothing else is made."
    ),
]
GroupOfCopy = Annotated[ResourceGroupId | None, Doc("The resource group of the copy.")]
TagsOfCopy = Annotated[
    tuple[TagInput, ...],
    Unordered(),
    Count(20, QuotaExceedTags),
    Doc("Tags of the copy. Those of the source are not copied."),
]

_DONE = 100  #: Per cent.


class OperationDeinedEncryptedSnapshot(ApiError):
    """Encrypted is false, and the source is encrypted. The code is spelled as it is documented."""

    code = "OperationDeined.EncryptedSnapshot"
    status = 403
    message = "The image contains encrypted snapshots, which do not support copying to non-encrypted ones."


@facts()
class Copied:
    """One snapshot that is a copy, and the layer that it names."""

    snapshot: str
    layer: str
    source: str = ""  #: The layer that it is written anew from, with *key*; "": it is the source's.
    key: str = ""
    size_bytes: int = 0  #: Of what is written anew.


@facts()
class CopyFacts:
    """What CopyImage and CopySnapshot remember."""

    snapshots: tuple[Copied, ...]


@dataclass(frozen=True, kw_only=True)
class Copy:
    """One copy that is to be made, decided."""

    snapshot: Snapshot  #: Progressing still.
    source: Snapshot

    @property
    def is_rewritten(self) -> bool:
        """Whether it has bytes of its own."""
        return self.snapshot.kms_key != self.source.kms_key

    @property
    def told(self) -> Snapshot:
        """The copy, with the layer that its bytes are read from."""
        return replace(self.snapshot, volume=self.source.volume)


class Ciphers:
    """With which key each disk of what is copied is encrypted."""

    def __init__(
        self, call: Call, region: str, *, encrypted: bool | None, key: str | None, algorithm: str | None
    ) -> None:
        self._own = encryption.choose_key(call, region, key, algorithm) if encrypted else ""
        self._encrypted = encrypted
        self._default = encryption.key_of(call.account, region)

    def of(self, source_key: str) -> str:
        """The key for the copy of what is encrypted with *source_key*, or is not.

        Raises OperationDeinedEncryptedSnapshot. A key is a region's own, so that of the source's goes no further.
        """
        if self._own or not source_key:
            return self._own
        if self._encrypted is False:
            raise OperationDeinedEncryptedSnapshot
        return self._default


def draft(
    call: Call,
    source: Snapshot,
    *,
    kms_key: str,
    region: str,
    name: str,
    description: str,
    made_for: str,
    resource_group: str,
    retention_days: int = 0,
) -> Copy:
    """A snapshot in *region* that is a copy of *source*, which is accomplished, and is encrypted with *kms_key*."""
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
        kms_key=kms_key,
    )
    snapshot = replace(
        made,
        volume=source.volume if kms_key == source.kms_key else None,
        size_bytes=source.size_bytes,
        consistency=source.consistency,
        from_released_system=source.from_released_system,
        retention_days=retention_days,
        # Of another's image its snapshots are not told.
        source_snapshot=source.id if source.account == call.account else "",
        source_region=source.region,
    )
    return Copy(snapshot=snapshot, source=source)


def record_finished(call: Call, copies: Sequence[Copy]) -> None:
    """Write copies that are accomplished with this transaction: none of them has bytes of its own."""
    done = {"status": SnapshotStatus.ACCOMPLISHED, "progress": _DONE}
    snapshots.insert(call.tx, *(replace(copy.snapshot, **done) for copy in copies))  # type: ignore[arg-type]


def record(call: Call, task: str, copies: Sequence[Copy]) -> CopyFacts:
    """Write copies that *task* will finish, and the layers that it will make; returns the facts that it needs."""
    snapshots.insert(call.tx, *(copy.snapshot for copy in copies))
    made = tuple(_to_facts(copy) for copy in copies)
    rows = (
        planned(one.layer, "layer", one.source, one.size_bytes, task=task, now=call.now) for one in made if one.source
    )
    volumes.insert(call.tx, *rows)
    return CopyFacts(snapshots=made)


def _to_facts(copy: Copy) -> Copied:
    layer = copy.source.volume or ""
    if not copy.is_rewritten:
        return Copied(snapshot=copy.snapshot.id, layer=layer)
    return Copied(
        snapshot=copy.snapshot.id,
        layer=new_id("volume"),
        source=layer,
        key=copy.snapshot.kms_key,
        size_bytes=copy.source.size_bytes,
    )


def pick_lane(call: Call, region: str, copies: Sequence[Copy]) -> str:
    """Of the lanes of the region's copies the one with the least to do; of the account's where bytes are written anew.

    All accounts share the former, and nobody keeps one for longer than a look.
    """
    if any(copy.is_rewritten for copy in copies):
        return transfer.pick_lane(call)
    lanes = [f"copy:{region}:{n}" for n in range(_AT_ONCE)]
    return min(lanes, key=lambda lane: tasks.count(call.tx, lane=lane, status=TaskStatus.PROCESSING))


def carry(job: Job[CopyFacts], tell: Callable[[Transaction, int], None], *, image: bool = False) -> None:
    """Finish the copies one by one; *tell* records how many per cent of them are done.

    With *image* the task's resource is one, whose row tells meanwhile how far what is written anew is. Raises PoolError
    where a layer is not whole in the pool: nobody is told then that the copy holds it; TaskCancelled.
    """
    copies = job.facts.snapshots
    weights = [one.size_bytes for one in copies]
    if not any(weights):
        weights = [1] * len(copies)
    watch = Watch(job, [one.size_bytes for one in copies], image=image)
    for n, one in enumerate(copies):
        reach("copying.before")
        if one.source:
            _rewrite(job, one, n, watch)
        size_bytes = _look(job, one.layer)
        percent = _DONE * sum(weights[: n + 1]) // sum(weights)

        def accomplish(
            tx: Transaction, one: Copied = one, size_bytes: int = size_bytes, percent: int = percent
        ) -> None:
            changes = {"progress": _DONE, "size_bytes": size_bytes, "volume": one.layer}
            if one.source:
                _settle(tx, job, one, size_bytes)
            snapshots.move(tx, SnapshotStatus.PROGRESSING, SnapshotStatus.ACCOMPLISHED, changes, id=one.snapshot)
            tell(tx, percent)

        job.write(accomplish)
        reach("copying.accomplished")


def _rewrite(job: Job[CopyFacts], one: Copied, n: int, watch: Watch) -> None:
    try:
        job.ports.pool.encrypt(one.source, one.layer, one.key, watch.of(n), watch.is_cancelled)
    except Cancelled as error:
        raise TaskCancelled from error
    reach("copying.rewritten")


def _settle(tx: Transaction, job: Job[CopyFacts], one: Copied, size_bytes: int) -> None:
    """Record that the layer is there, and stands on nothing."""
    layer = reinstated(one.layer, "layer", None, size_bytes, now=job.ports.clock())
    file_bytes = job.ports.pool.length(one.layer)
    make_ready(tx, lambda: layer, id=one.layer, parent=None, size_bytes=size_bytes, file_bytes=file_bytes)


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
        if one.source:
            volumes.update(tx, {"state": "doomed", "task": None}, id=one.layer, state="planned")
        snapshots.move(tx, SnapshotStatus.PROGRESSING, SnapshotStatus.FAILED, {"volume": None}, id=one.snapshot)


def remove(tx: Transaction, ids: Sequence[str]) -> None:
    """Remove copies that were cancelled, as if they had never been."""
    for snapshot in ids:
        snapshots.delete(tx, id=snapshot)
        tags.drop(tx, "snapshot", snapshot)
