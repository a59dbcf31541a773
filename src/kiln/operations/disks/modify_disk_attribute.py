"""Change what a disk is called, what goes with it or with its instance, or whether its snapshot policy is heeded.

One disk, or up to 100 by DiskIds.N, which all get the same: either all of them
or none. What is not sent stays as it is; an empty description takes it away.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any

from kiln.calls.call import Call
from kiln.declare.errors import ApiError
from kiln.declare.operation import Operation
from kiln.declare.rules import Clearable, Count, Doc, Example, Name, Text, Unordered
from kiln.declare.shapes import shape
from kiln.ground.values import dataclass
from kiln.operations import accepted
from kiln.operations.disks.parts.errors import DiskNotPortable, InvalidDiskIdNotFound, InvalidRegionIdMalFormed
from kiln.operations.errors.requests import NoAttributeToModify
from kiln.operations.params import DiskId, NothingMore, OwnRegionId
from kiln.store.disks import Disk, disks


class InvalidDiskNameMalformedOfModify(ApiError):
    """A disk's name breaks the rule for names."""

    code = "InvalidDiskName.Malformed"
    message = "The specified disk name is wrongly formed."


class InvalidDescriptionMalformedOfDisk(ApiError):
    """A description breaks the rule for descriptions."""

    code = "InvalidDescription.Malformed"
    status = 404
    message = "The specified description is wrongly formed."


class MissingParameterDiskIdOrDiskIds(ApiError):
    """No disk was named."""

    code = "MissingParameter.DiskIdOrDiskIds"
    message = "Specified parameter DiskId or DiskIds is missing."


class ParameterConflictDiskIdAndDiskIds(ApiError):
    """Disks were named both by DiskId and by DiskIds.N."""

    code = "ParameterConflict.DiskIdAndDiskIds"
    message = "Specified parameter DiskId and DiskIds conflict, only one can be chosen."


@shape
class Input:
    region_id: OwnRegionId = None
    disk_id: DiskId | None = None
    disk_ids: Annotated[
        tuple[DiskId, ...] | None, Unordered(), Count(100), Doc("Several disks, up to 100; not together with DiskId.")
    ] = None
    disk_name: Annotated[
        str | None,
        Name(2, 128, InvalidDiskNameMalformedOfModify, any_script=True),
        Example("testDiskName"),
        Doc("The name."),
    ] = None
    description: Annotated[
        str | None,
        Clearable(),
        Text(2, 256, InvalidDescriptionMalformedOfDisk, not_starting=("http://", "https://")),
        Example("testDescription"),
        Doc("The description. Empty: the disk has none any more."),
    ] = None
    delete_with_instance: Annotated[
        bool | None, Doc("Whether it goes when its instance is released; a disk that cannot be detached always does.")
    ] = None
    delete_auto_snapshot: Annotated[bool | None, Doc("Whether its automatic snapshots go with it.")] = None
    enable_auto_snapshot: Annotated[
        bool | None, Doc("Whether its policy for automatic snapshots is heeded, if it has one.")
    ] = None
    bursting_enabled: Annotated[
        bool | None, accepted.CATEGORIES, Doc("Performance bursts. DescribeDisks shows it.")
    ] = None


@dataclass(frozen=True, kw_only=True)
class Plan:
    disks: list[Disk]
    changes: dict[str, Any]
    bursting: bool | None


def check(call: Call, p: Input) -> Plan:
    if p.disk_id is not None and p.disk_ids is not None:
        raise ParameterConflictDiskIdAndDiskIds
    named = p.disk_ids if p.disk_id is None else (p.disk_id,)
    if not named:
        raise MissingParameterDiskIdOrDiskIds
    asked = (p.disk_name, p.description, p.delete_with_instance, p.bursting_enabled)
    if all(one is None for one in (*asked, p.delete_auto_snapshot, p.enable_auto_snapshot)):
        raise NoAttributeToModify
    found = [call.the(disks, one, p.region_id, InvalidDiskIdNotFound) for one in dict.fromkeys(named)]
    if p.delete_with_instance is False and not all(disk.portable for disk in found):
        raise DiskNotPortable(disk_ids=[disk.id for disk in found if not disk.portable])
    wanted = {
        "name": p.disk_name,
        "description": p.description,
        "delete_with_instance": p.delete_with_instance,
        "drops_auto_snapshots": p.delete_auto_snapshot,
        "ignores_policy": None if p.enable_auto_snapshot is None else not p.enable_auto_snapshot,
    }
    changes = {column: value for column, value in wanted.items() if value is not None}
    return Plan(disks=found, changes=changes, bursting=p.bursting_enabled)


def commit(call: Call, plan: Plan) -> NothingMore:
    for disk in plan.disks:
        asked = {} if plan.bursting is None else {"asked": replace(disk.asked, bursting_enabled=plan.bursting)}
        if changes := plan.changes | asked:
            disks.update(call.tx, changes, id=disk.id)
    return NothingMore()


modify_disk_attribute = Operation(
    input=Input,
    output=NothingMore,
    check=check,
    commit=commit,
    unknown_region=InvalidRegionIdMalFormed,
    errors=(
        ParameterConflictDiskIdAndDiskIds,
        MissingParameterDiskIdOrDiskIds,
        NoAttributeToModify,
        InvalidDiskIdNotFound,
        DiskNotPortable,
    ),
)
