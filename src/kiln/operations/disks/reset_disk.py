"""Put a disk back to one of its own snapshots.

The disk is ReIniting, then as before, In_use or Available. What was written
since the snapshot is gone. The instance of an attached disk is stopped
meanwhile. A disk that has grown since keeps its size; the snapshot stays.
"""

from __future__ import annotations

from kiln.calls.call import Call, Job
from kiln.declare.errors import ApiError
from kiln.declare.facts import facts
from kiln.declare.ids import new_id
from kiln.declare.operation import Operation
from kiln.declare.shapes import shape
from kiln.declare.states import DiskStatus, InstanceStatus, SnapshotStatus
from kiln.ground.killpoints import reach
from kiln.ground.units import GiB
from kiln.ground.values import dataclass
from kiln.operations.disks.parts.errors import (
    InstanceLockedForSecurityOfDisk,
    InvalidDiskIdNotFound,
    InvalidRegionIdMalFormed,
)
from kiln.operations.errors.disks import IncorrectDiskStatus
from kiln.operations.errors.instances import IncorrectInstanceStatus
from kiln.operations.errors.snapshots import InvalidSnapshotIdNotFound, InvalidSnapshotIdNotReady
from kiln.operations.params import DiskId, NothingMore, OwnRegionId, SnapshotId
from kiln.operations.steps import capture, heads
from kiln.operations.steps.heads import Head
from kiln.operations.steps.locks import check_unlocked
from kiln.store.database import Transaction
from kiln.store.disks import Disk, disks
from kiln.store.instances import instances
from kiln.store.snapshots import Snapshot, snapshots
from kiln.store.volumes import volumes


class InvalidOperationDiskResetInProgress(ApiError):
    """The disk is being put back already."""

    code = "InvalidOperation.DiskResetInProgress"
    status = 403
    message = "The operation cannot be performed because the disk has an ongoing reset task, please try again later."


class IncorrectDiskStatusHasUnfinishedSnapshot(ApiError):
    """A snapshot of the disk is being created."""

    code = "IncorrectDiskStatus.HasUnfinishedSnapshot"
    status = 403
    message = "The current disk has unfinished snapshot."


class InvalidParameterMismatch(ApiError):
    """The snapshot is of another disk."""

    code = "InvalidParameter.Mismatch"
    status = 403
    message = "The specified snapshot is not created from the specified disk."


@shape
class Input:
    region_id: OwnRegionId = None
    disk_id: DiskId
    snapshot_id: SnapshotId


@dataclass(frozen=True, kw_only=True)
class Plan:
    disk: Disk
    snapshot: Snapshot


@facts()
class Facts:
    volume: str
    layer: str | None
    size_bytes: int
    before: str | None  #: The head that the disk has had.
    status: str  #: The disk's, to which it comes back.

    @property
    def head(self) -> Head:
        """The head to be made."""
        return Head(self.volume, self.layer, self.size_bytes)


def check(call: Call, p: Input) -> Plan:
    disk = call.the(disks, p.disk_id, p.region_id, InvalidDiskIdNotFound)
    snapshot = call.the(snapshots, p.snapshot_id, p.region_id, InvalidSnapshotIdNotFound)
    if snapshot.source_disk != disk.id:
        raise InvalidParameterMismatch(snapshot_id=snapshot.id, disk_id=disk.id)
    if disk.status == DiskStatus.REINITING:
        raise InvalidOperationDiskResetInProgress(disk_id=disk.id)
    if disk.status not in (DiskStatus.IN_USE, DiskStatus.AVAILABLE):
        raise IncorrectDiskStatus(disk_id=disk.id, status=disk.status)
    _check_instance(call, disk)
    if snapshot.status != SnapshotStatus.ACCOMPLISHED:
        raise InvalidSnapshotIdNotReady(snapshot_id=snapshot.id)
    if capture.is_capturing(call.tx, [disk]):
        raise IncorrectDiskStatusHasUnfinishedSnapshot(disk_id=disk.id)
    return Plan(disk=disk, snapshot=snapshot)


def commit(call: Call, plan: Plan) -> NothingMore:
    disk, snapshot = plan.disk, plan.snapshot
    task = new_id("task")
    size_bytes = max(disk.size_gib * GiB, snapshot.size_bytes)
    head = Head(volume=new_id("volume"), layer=snapshot.volume, size_bytes=size_bytes)
    heads.record(call, task, [head])
    disks.move(call.tx, DiskStatus(disk.status), DiskStatus.REINITING, {}, id=disk.id)
    remembered = Facts(
        volume=head.volume, layer=head.layer, size_bytes=size_bytes, before=disk.volume, status=disk.status
    )
    call.enqueue(disk.id, remembered, region=disk.region, lane=disk.lane, task_id=task)
    return NothingMore()


def carry_out(job: Job[Facts]) -> None:
    heads.make(job, [job.facts.head])

    def settle(tx: Transaction) -> None:
        heads.settle(tx, [job.facts.head], job.ports.clock())
        changes = {"volume": job.facts.volume}
        after = DiskStatus(job.facts.status)
        if disks.move(tx, DiskStatus.REINITING, after, changes, id=job.task.resource):
            volumes.update(tx, {"state": "doomed"}, id=job.facts.before)
        job.finish(tx)

    job.write(settle)
    reach("reset_disk.settled")


def give_up(job: Job[Facts], error: ApiError) -> None:
    def fail(tx: Transaction) -> None:
        job.fail(tx, error)
        heads.doom(tx, [job.facts.volume])
        disks.move(tx, DiskStatus.REINITING, DiskStatus(job.facts.status), {}, id=job.task.resource)

    job.write(fail)


def _check_instance(call: Call, disk: Disk) -> None:
    if disk.instance is None:
        return
    instance = instances.find(call.tx, id=disk.instance)
    if instance is None or instance.status != InstanceStatus.STOPPED:
        raise IncorrectInstanceStatus(instance_id=disk.instance)
    check_unlocked(instance, InstanceLockedForSecurityOfDisk)


reset_disk = Operation(
    input=Input,
    output=NothingMore,
    check=check,
    commit=commit,
    carry_out=carry_out,
    facts=Facts,
    give_up=give_up,
    leads_to=("ReIniting", "In_use", "Available"),
    unknown_region=InvalidRegionIdMalFormed,
    errors=(
        InvalidDiskIdNotFound,
        InvalidSnapshotIdNotFound,
        InvalidParameterMismatch,
        InvalidOperationDiskResetInProgress,
        IncorrectDiskStatus,
        IncorrectInstanceStatus,
        InstanceLockedForSecurityOfDisk,
        InvalidSnapshotIdNotReady,
        IncorrectDiskStatusHasUnfinishedSnapshot,
    ),
)
