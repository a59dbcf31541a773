"""Put a disk back to one of its own snapshots.

The disk is ReIniting, then as before, In_use or Available. What was written
since the snapshot is gone. The instance of an attached disk is stopped
meanwhile. A disk that has grown since keeps its size; the snapshot stays.
"""

from __future__ import annotations

from kiln.calls.call import Call, Job
from kiln.declare.errors import ApiError
from kiln.declare.ids import new_id
from kiln.declare.operation import Operation
from kiln.declare.shapes import shape
from kiln.declare.states import DiskStatus, InstanceStatus, SnapshotStatus
from kiln.ground.killpoints import reach
from kiln.ground.values import dataclass
from kiln.operations.disks.parts import reiniting
from kiln.operations.disks.parts.errors import (
    InstanceLockedForSecurityOfDisk,
    InvalidDiskIdNotFound,
    InvalidRegionIdMalFormed,
)
from kiln.operations.disks.parts.reiniting import Fresh
from kiln.operations.errors.disks import IncorrectDiskStatus
from kiln.operations.errors.instances import IncorrectInstanceStatus
from kiln.operations.errors.snapshots import InvalidSnapshotIdNotFound, InvalidSnapshotIdNotReady
from kiln.operations.params import DiskId, NothingMore, OwnRegionId, SnapshotId
from kiln.operations.steps import capture, heads
from kiln.operations.steps.locks import check_unlocked
from kiln.store.database import Transaction
from kiln.store.disks import Disk, disks
from kiln.store.instances import instances
from kiln.store.snapshots import Snapshot, snapshots


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
    fresh = reiniting.begin(call, task, disk, snapshot.volume, snapshot.size_bytes)
    call.enqueue(disk.id, fresh, region=disk.region, lane=disk.lane, task_id=task)
    return NothingMore()


def carry_out(job: Job[Fresh]) -> None:
    heads.make(job, [job.facts.head])

    def settle(tx: Transaction) -> None:
        reiniting.settle(tx, job, job.facts)
        job.finish(tx)

    job.write(settle)
    reach("reset_disk.settled")


def give_up(job: Job[Fresh], error: ApiError) -> None:
    def fail(tx: Transaction) -> None:
        job.fail(tx, error)
        reiniting.take_back(tx, job, job.facts)

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
    facts=Fresh,
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
