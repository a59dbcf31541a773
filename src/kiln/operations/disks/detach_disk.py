"""Detach a disk from its instance.

The disk is Detaching, then Available; its bytes stay. A data disk is detached
from a running or stopped instance. Unmount it in a running guest first: what
the guest has not written yet is lost. A system disk is detached while its
instance is stopped, and AttachDisk puts it back.
"""

from __future__ import annotations

from typing import Annotated

from kiln.calls.call import Call, Job
from kiln.declare.errors import ApiError
from kiln.declare.facts import NoFacts
from kiln.declare.operation import Operation
from kiln.declare.rules import Accepted, Doc
from kiln.declare.shapes import shape
from kiln.declare.states import DiskStatus, InstanceStatus
from kiln.ground.killpoints import reach
from kiln.operations.disks.parts.errors import (
    DiskNotPortable,
    InstanceLockedForSecurityOfDisk,
    InvalidDiskIdNotFound,
    InvalidRegionIdMalFormed,
)
from kiln.operations.errors.disks import IncorrectDiskStatus
from kiln.operations.errors.instances import IncorrectInstanceStatus, InvalidInstanceIdNotFound
from kiln.operations.params import DiskId, InstanceId, NothingMore, OwnRegionId
from kiln.operations.steps import drives
from kiln.operations.steps.locks import check_unlocked
from kiln.store.database import Transaction
from kiln.store.disks import Disk, disks
from kiln.store.instances import Instance, instances


class InvalidDiskAlreadyDetached(ApiError):
    """The disk is attached to nothing."""

    code = "InvalidDisk.AlreadyDetached"
    status = 404
    message = "The specified disk has been detached."


class DependencyViolationOfDetach(ApiError):
    """The disk is attached to another instance."""

    code = "DependencyViolation"
    status = 403
    message = "The specified disk has not been attached on the specified instance."


@shape
class Input:
    region_id: OwnRegionId = None
    instance_id: InstanceId
    disk_id: DiskId
    delete_with_instance: Annotated[
        bool | None,
        Accepted("It is for disks that several instances have, and here none is."),
        Doc("Whether the disk is deleted when the instance is released."),
    ] = None


def check(call: Call, p: Input) -> Disk:
    instance = call.the(instances, p.instance_id, p.region_id, InvalidInstanceIdNotFound)
    disk = call.the(disks, p.disk_id, p.region_id, InvalidDiskIdNotFound)
    check_unlocked(instance, InstanceLockedForSecurityOfDisk)
    if disk.instance is None and disk.status == DiskStatus.AVAILABLE:
        raise InvalidDiskAlreadyDetached(disk_id=disk.id)
    if disk.instance is not None and disk.instance != instance.id:
        raise DependencyViolationOfDetach(disk_id=disk.id)
    if disk.status != DiskStatus.IN_USE:
        raise IncorrectDiskStatus(disk_id=disk.id, status=disk.status)
    if not disk.portable:
        raise DiskNotPortable(disk_id=disk.id)
    _check_status(disk, instance)
    return disk


def commit(call: Call, plan: Disk) -> NothingMore:
    disks.move(call.tx, DiskStatus.IN_USE, DiskStatus.DETACHING, {}, id=plan.id)
    call.enqueue(plan.id, region=plan.region, lane=plan.instance or "")
    return NothingMore()


def carry_out(job: Job[NoFacts]) -> None:
    with job.ports.database.read() as tx:
        disk = disks.find(tx, id=job.task.resource, status=DiskStatus.DETACHING)
    if disk is None:
        return
    assert disk.volume is not None  # It was In_use.
    drives.pull_out(job.ports, disk, disk.volume)

    def settle(tx: Transaction) -> None:
        changes: dict[str, object] = {"instance": None, "device": "", "detached_at": job.ports.clock()}
        if disk.type == "system":
            changes["home"] = disk.instance
        disks.move(tx, DiskStatus.DETACHING, DiskStatus.AVAILABLE, changes, id=disk.id)
        job.finish(tx)

    job.write(settle)
    reach("detach_disk.settled")


def give_up(job: Job[NoFacts], error: ApiError) -> None:
    with job.ports.database.read() as tx:
        disk = disks.find(tx, id=job.task.resource, status=DiskStatus.DETACHING)
    if disk is None:
        return
    assert disk.volume is not None  # It was In_use.
    # The guest may have let go of it half-way; In_use means that a running one has it.
    drives.plug_in(job.ports, disk, disk.volume)

    def fail(tx: Transaction) -> None:
        job.fail(tx, error)
        disks.move(tx, DiskStatus.DETACHING, DiskStatus.IN_USE, {}, id=disk.id)

    job.write(fail)


def _check_status(disk: Disk, instance: Instance) -> None:
    fitting = (InstanceStatus.STOPPED,) if disk.type == "system" else (InstanceStatus.RUNNING, InstanceStatus.STOPPED)
    if instance.status not in fitting:
        raise IncorrectInstanceStatus(instance_id=instance.id, status=instance.status)


detach_disk = Operation(
    input=Input,
    output=NothingMore,
    check=check,
    commit=commit,
    carry_out=carry_out,
    give_up=give_up,
    leads_to=("Detaching", "Available"),
    unknown_region=InvalidRegionIdMalFormed,
    errors=(
        InvalidInstanceIdNotFound,
        InvalidDiskIdNotFound,
        InstanceLockedForSecurityOfDisk,
        InvalidDiskAlreadyDetached,
        DependencyViolationOfDetach,
        IncorrectDiskStatus,
        DiskNotPortable,
        IncorrectInstanceStatus,
    ),
)
