"""What its row says is on its way, and whose task is not there: nobody would ever end it.

A database that was written again from records that are a moment old has such
rows. An image, a snapshot and what was asked of a guest are ended at once. What
becomes of an instance or a disk is told by the pool and by the machines, which
are asked at the next start: a task that nobody understands is left for it, and
ended as any such is (``kiln.upkeep.unfinished``).
"""

from __future__ import annotations

from collections.abc import Iterator

from kiln.declare.errors import InternalError
from kiln.declare.facts import NoFacts
from kiln.declare.states import (
    ENDED_INVOCATIONS,
    DiskStatus,
    ImageStatus,
    InstanceStatus,
    InvocationStatus,
    SnapshotStatus,
    TaskStatus,
)
from kiln.ground.values import dataclass
from kiln.store import images, invocations
from kiln.store.database import Transaction
from kiln.store.disks import disks
from kiln.store.instances import host_of, instances
from kiln.store.invocations import results
from kiln.store.snapshots import snapshots
from kiln.store.tasks import append, new_task, tasks
from kiln.upkeep.findings import Finding, mended

#: The action of the tasks that are left; nothing is called so.
LEFT = "EndWhatWasLeft"

ABANDONED = "and nobody works on it"

_DISKS_ON_THEIR_WAY = (DiskStatus.CREATING, DiskStatus.ATTACHING, DiskStatus.DETACHING, DiskStatus.REINITING)
_INSTANCES_ON_THEIR_WAY = (InstanceStatus.PENDING, InstanceStatus.STARTING, InstanceStatus.STOPPING)
_LATER = "the next start finds out what became of it"


@dataclass(frozen=True)
class _Work:
    """What there are tasks for."""

    named: frozenset[str]  #: Tasks, and the resources and lanes that they are of.
    said: str  #: What they remember.

    def is_for(self, name: str) -> bool:
        """Whether a task is about it, or remembers it."""
        return name in self.named or name in self.said


def abandoned(tx: Transaction, now: float, *, repair: bool) -> list[Finding]:
    """Look for what nobody works on, and with *repair* end it or have it ended."""
    open_ = tasks.all(tx, status=TaskStatus.PROCESSING)
    named = frozenset(name for task in open_ for name in (task.id, task.resource, task.lane))
    work = _Work(named, " ".join(task.payload for task in open_))
    return [
        *_snapshots(tx, work, repair=repair),
        *_images(tx, work, repair=repair),
        *_invocations(tx, work, now, repair=repair),
        *_instances_and_disks(tx, work, now, repair=repair),
    ]


def _fault(status: str) -> str:
    return f"was {status}, {ABANDONED}"


def _snapshots(tx: Transaction, work: _Work, *, repair: bool) -> Iterator[Finding]:
    for snapshot in snapshots.all(tx, status=SnapshotStatus.PROGRESSING):
        if work.is_for(snapshot.id):
            continue
        if repair:
            # A copy names its layer from its first row on; one that is none keeps nobody's bytes.
            snapshots.move(tx, SnapshotStatus.PROGRESSING, SnapshotStatus.FAILED, {"volume": None}, id=snapshot.id)
        fault = _fault(snapshot.status)
        yield mended(snapshot.id, fault, done="it is failed now", would="it would be failed", repair=repair)


def _images(tx: Transaction, work: _Work, *, repair: bool) -> Iterator[Finding]:
    for image in images.images.all(tx, status=ImageStatus.CREATING):
        if work.is_for(image.id):
            continue
        if repair:
            images.fail(tx, image.id, InternalError.code, "The database was lost while the image was created.")
        done, would = "it is CreateFailed now", "it would be CreateFailed"
        yield mended(image.id, _fault(image.status), done=done, would=would, repair=repair)


def _invocations(tx: Transaction, work: _Work, now: float, *, repair: bool) -> Iterator[Finding]:
    open_ = [status for status in InvocationStatus if status not in ENDED_INVOCATIONS]
    for result in results.all(tx, results.c.status.in_(open_)):
        if result.task in work.named:
            continue
        if repair:
            lost = {"error_code": "ExecutionInterrupted", "error_info": "what was known of it was lost by Kiln"}
            invocations.end(tx, result, InvocationStatus.ERROR, now, lost)
        fault = _fault(f"{result.status} on {result.instance}")
        done, would = "whether it was done is not known, and it is Error now", "it would be Error"
        yield mended(result.invocation, fault, done=done, would=would, repair=repair)


def _instances_and_disks(tx: Transaction, work: _Work, now: float, *, repair: bool) -> Iterator[Finding]:
    left = set()
    for instance in instances.all(tx, instances.c.status.in_(_INSTANCES_ON_THEIR_WAY)):
        # A command that waits for the guest remembers the instance, and ends nothing of it.
        if instance.id not in work.named:
            left.add(instance.id)
            yield _leave(tx, instance.id, instance.id, instance.status, now, repair=repair)
    for disk in disks.all(tx, disks.c.status.in_(_DISKS_ON_THEIR_WAY)):
        # What becomes of an instance becomes of the disks that are made for it.
        is_of_left = disk.status == DiskStatus.CREATING and disk.instance in left
        if not is_of_left and not work.is_for(disk.id) and disk.instance not in work.named:
            yield _leave(tx, disk.id, disk.lane, disk.status, now, repair=repair)


def _leave(tx: Transaction, resource: str, lane: str, status: str, now: float, *, repair: bool) -> Finding:
    if repair:
        append(tx, new_task(LEFT, resource, NoFacts(), now, lane=lane, host=host_of(tx, lane)))
    return mended(resource, _fault(status), done=_LATER, would=_LATER.replace("finds", "would find"), repair=repair)
