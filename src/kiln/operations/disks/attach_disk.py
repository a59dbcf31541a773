"""Attach a disk to an instance.

The disk is Attaching, then In_use. A running instance sees it at once, under
the serial number that DescribeDisks tells; a stopped one at its next start.

A disk that was detached as the system disk of an instance goes back to that
instance alone as its system disk, with Bootable and while it is stopped;
without Bootable it is a data disk of whichever instance.
"""

from __future__ import annotations

from typing import Annotated

from kiln.calls.call import Call, Job, NotYet
from kiln.declare.errors import ApiError
from kiln.declare.facts import facts
from kiln.declare.operation import Operation
from kiln.declare.rules import Accepted, Declined, Doc, Example, Secret
from kiln.declare.shapes import shape
from kiln.declare.states import DiskStatus, InstanceStatus, TaskStatus
from kiln.ground.killpoints import reach
from kiln.ground.values import dataclass
from kiln.operations.disks.parts.errors import (
    DiskNotPortable,
    InstanceLockedForSecurityOfDisk,
    InvalidDiskIdNotFound,
    InvalidRegionIdMalFormed,
)
from kiln.operations.errors.disks import IncorrectDiskStatus
from kiln.operations.errors.instances import InvalidInstanceIdNotFound
from kiln.operations.params import DiskId, InstanceId, NothingMore, OwnRegionId
from kiln.operations.steps import drives
from kiln.operations.steps.locks import check_unlocked
from kiln.store.database import Transaction
from kiln.store.disks import Disk, disks
from kiln.store.instances import Instance, instances
from kiln.store.tasks import is_lane_busy, tasks
from kiln.store.volumes import volumes

#: How long an attachment waits before it looks again whether a free disk's snapshot, merge or growth is done.
_WAIT_S = 0.1


class IncorrectInstanceStatusOfAttach(ApiError):
    """The instance is neither Running nor Stopped; for a system disk: not Stopped."""

    code = "IncorrectInstanceStatus"
    message = "The current status of the resource does not support this operation."


class ResourcesNotInSameZone(ApiError):
    """The disk is in another zone than the instance."""

    code = "ResourcesNotInSameZone"
    status = 403
    message = "The specified instance and disk are not in the same zone."


class InvalidDiskDiskNotBootable(ApiError):
    """Bootable, of a disk that was no system disk."""

    code = "InvalidDisk.DiskNotBootable"
    message = "The specified disk is not a bootable disk, can not be attached as system disk."


class InvalidInstanceNotOriginInstance(ApiError):
    """Bootable, to another instance than the one whose system disk it was."""

    code = "InvalidInstance.NotOriginInstance"
    message = "The specified disk can not attached to other instance as system disk."


#: Who believed that a login was set would be locked out.
_KEPT = Declined(
    "the system on the disk keeps its login: ModifyInstanceAttribute and AttachKeyPair change an instance's"
)


@shape
class Input:
    region_id: OwnRegionId = None
    instance_id: InstanceId
    disk_id: DiskId
    device: Annotated[
        str | None,
        Example("/dev/xvdb"),
        Doc("The device name, /dev/xvdb to /dev/xvdz (or /dev/vdX); the next free one when not given."),
    ] = None
    delete_with_instance: Annotated[bool, Doc("Whether the disk is deleted when the instance is released.")] = False
    bootable: Annotated[bool, Doc("Attach it as the system disk.")] = False
    password: Annotated[str | None, Secret(), _KEPT, Doc("A password for the system.")] = None
    key_pair_name: Annotated[str | None, _KEPT, Doc("A key pair for the system.")] = None
    force: Annotated[
        bool | None, Accepted("It is for regional disks, of which there are none."), Doc("Take it from elsewhere.")
    ] = None


@dataclass(frozen=True, kw_only=True)
class Plan:
    disk: Disk
    instance: Instance
    type: str
    device: str
    delete_with_instance: bool


@facts()
class Facts:
    type: str  #: The disk's, to which it comes back when the attachment fails.


def check(call: Call, p: Input) -> Plan:
    instance = call.the(instances, p.instance_id, p.region_id, InvalidInstanceIdNotFound)
    disk = call.the(disks, p.disk_id, p.region_id, InvalidDiskIdNotFound)
    check_unlocked(instance, InstanceLockedForSecurityOfDisk)
    fitting = (InstanceStatus.STOPPED,) if p.bootable else (InstanceStatus.RUNNING, InstanceStatus.STOPPED)
    if instance.status not in fitting:
        raise IncorrectInstanceStatusOfAttach(instance_id=instance.id, status=instance.status)
    if disk.status != DiskStatus.AVAILABLE:
        raise IncorrectDiskStatus(disk_id=disk.id, status=disk.status)
    if not disk.portable:
        raise DiskNotPortable(disk_id=disk.id)
    if (disk.region, disk.zone) != (instance.region, instance.zone):
        raise ResourcesNotInSameZone(disk_zone=disk.zone, instance_zone=instance.zone)
    if p.bootable:
        _check_bootable(disk, instance)
    kind = "system" if p.bootable else "data"
    return Plan(
        disk=disk,
        instance=instance,
        type=kind,
        device=drives.place_for(call, instance.id, p.device, kind),
        delete_with_instance=p.delete_with_instance,
    )


def commit(call: Call, plan: Plan) -> NothingMore:
    disk, instance = plan.disk, plan.instance
    changes = {
        "instance": instance.id,
        "device": plan.device,
        "type": plan.type,
        "delete_with_instance": plan.delete_with_instance,
    }
    disks.move(call.tx, DiskStatus.AVAILABLE, DiskStatus.ATTACHING, changes, id=disk.id)
    call.enqueue(disk.id, Facts(type=disk.type), region=disk.region, lane=instance.id)
    return NothingMore()


def carry_out(job: Job[Facts]) -> None:
    with job.ports.database.read() as tx:
        disk = disks.find(tx, id=job.task.resource, status=DiskStatus.ATTACHING)
        is_free = disk is None or _is_free(tx, job, disk)
    if disk is None:
        return
    if not is_free:
        raise NotYet(_WAIT_S, "The disk is still in use by what it was in before.")
    assert disk.volume is not None  # It was Available.
    drives.plug_in(job.ports, disk, disk.volume)

    def settle(tx: Transaction) -> None:
        instance = instances.find(tx, id=disk.instance)
        changes = {
            "ever_attached": True,
            "attached_at": job.ports.clock(),
            "awaits_restart": instance is not None and _awaits_restart(disk, instance),
        }
        disks.move(tx, DiskStatus.ATTACHING, DiskStatus.IN_USE, changes, id=disk.id)
        job.finish(tx)

    job.write(settle)
    reach("attach_disk.settled")


def give_up(job: Job[Facts], error: ApiError) -> None:
    with job.ports.database.read() as tx:
        disk = disks.find(tx, id=job.task.resource, status=DiskStatus.ATTACHING)
    if disk is None:
        return
    assert disk.volume is not None  # It was Available.
    drives.pull_out(job.ports, disk, disk.volume)
    changes = {"instance": None, "device": "", "type": job.facts.type}

    def fail(tx: Transaction) -> None:
        job.fail(tx, error)
        disks.move(tx, DiskStatus.ATTACHING, DiskStatus.AVAILABLE, changes, id=disk.id)

    job.write(fail)


def _is_free(tx: Transaction, job: Job[Facts], disk: Disk) -> bool:
    """Whether nothing works on the disk that was begun before it came into its instance's lane."""
    if is_lane_busy(tx, disk.id):
        return False
    head = volumes.find(tx, id=disk.volume)
    at_work = tasks.find(tx, id=head.task, status=TaskStatus.PROCESSING) if head is not None and head.task else None
    return at_work is None or at_work.seq > job.task.seq


def _awaits_restart(disk: Disk, instance: Instance) -> bool:
    """Whether the instance has to run again before an image of it can be made (ecs-api.md 5.4)."""
    return disk.type == "data" and instance.status == InstanceStatus.STOPPED and instance.ever_started


def _check_bootable(disk: Disk, instance: Instance) -> None:
    if disk.type != "system" and not disk.home:
        raise InvalidDiskDiskNotBootable(disk_id=disk.id)
    if disk.home != instance.id:
        raise InvalidInstanceNotOriginInstance(disk_id=disk.id, instance_id=instance.id)


attach_disk = Operation(
    input=Input,
    output=NothingMore,
    check=check,
    commit=commit,
    carry_out=carry_out,
    facts=Facts,
    give_up=give_up,
    leads_to=("Attaching", "In_use"),
    unknown_region=InvalidRegionIdMalFormed,
    errors=(
        InvalidInstanceIdNotFound,
        InvalidDiskIdNotFound,
        InstanceLockedForSecurityOfDisk,
        IncorrectInstanceStatusOfAttach,
        IncorrectDiskStatus,
        DiskNotPortable,
        ResourcesNotInSameZone,
        InvalidDiskDiskNotBootable,
        InvalidInstanceNotOriginInstance,
        *drives.ERRORS,
    ),
)
