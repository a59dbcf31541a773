"""Delete a disk that is attached to nothing.

The disk and its tags are gone at once, its space shortly after. Snapshots of it
stay, and what was made of them too; of a disk with DeleteAutoSnapshot the
automatic ones go with it, except for those that images or disks were made of.
"""

from __future__ import annotations

from kiln.calls.call import Call
from kiln.declare.errors import ApiError, InvalidRegionIdNotFound
from kiln.declare.operation import Operation
from kiln.declare.shapes import shape
from kiln.declare.states import DiskStatus
from kiln.operations.disks.parts.errors import InvalidDiskIdNotFound
from kiln.operations.errors.disks import DiskCreatingSnapshot, IncorrectDiskStatus
from kiln.operations.params import DiskId, NothingMore, OwnRegionId
from kiln.operations.steps import capture, deleting, tombs
from kiln.store import tags
from kiln.store.disks import Disk, disks
from kiln.store.volumes import volumes


class IncorrectDiskStatusInitializing(ApiError):
    """The disk is still being made."""

    code = "IncorrectDiskStatus.Initializing"
    status = 403
    message = "The current disk status does not support this operation."


class IncorrectDiskStatusOfDelete(IncorrectDiskStatus):
    """The disk is attached to an instance, or on its way to another state."""

    hint = "Detach it first: `kiln disk detach DISK INSTANCE`."


class DiskTypeViolation(ApiError):
    """The disk is the system disk of an instance."""

    code = "DiskTypeViolation"
    status = 403
    message = "The specified disk is a system disk and cannot support the operation."


class InvalidRegionIdMalFormedOfDelete(ApiError):
    """The RegionId is none of this deployment's."""

    code = "InvalidRegionId.MalFormed"
    message = "The specified parameter RegionId is not valid."
    hint = InvalidRegionIdNotFound.hint


@shape
class Input:
    region_id: OwnRegionId = None
    disk_id: DiskId


def check(call: Call, p: Input) -> Disk:
    disk = call.the(disks, p.disk_id, p.region_id, InvalidDiskIdNotFound)
    if disk.status == DiskStatus.CREATING:
        raise IncorrectDiskStatusInitializing(disk_id=disk.id)
    if disk.type == "system" and disk.instance is not None:
        raise DiskTypeViolation(disk_id=disk.id)
    if disk.status != DiskStatus.AVAILABLE:
        raise IncorrectDiskStatusOfDelete(disk_id=disk.id, status=disk.status)
    if capture.is_capturing(call.tx, [disk]):
        raise DiskCreatingSnapshot(disk_id=disk.id)
    return disk


def commit(call: Call, plan: Disk) -> NothingMore:
    tombs.keep_disk(call.tx, call.ports, plan)
    deleting.delete_automatic(call.tx, call.ports, plan)
    disks.delete(call.tx, id=plan.id)
    tags.drop(call.tx, "disk", plan.id)
    # The row's task stays: while a merge works on the bytes, they are not dropped.
    volumes.update(call.tx, {"state": "doomed"}, id=plan.volume)
    return NothingMore()


delete_disk = Operation(
    input=Input,
    output=NothingMore,
    check=check,
    commit=commit,
    unknown_region=InvalidRegionIdMalFormedOfDelete,
    gives_back=True,
    errors=(
        InvalidDiskIdNotFound,
        IncorrectDiskStatusInitializing,
        DiskTypeViolation,
        IncorrectDiskStatusOfDelete,
        DiskCreatingSnapshot,
    ),
)
