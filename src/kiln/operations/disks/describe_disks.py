"""List disks, the newest first.

With InstanceId, the disks of that instance: the system disk first, the others
by device. Otherwise disks that were made in one call stand together, of an
instance in that same order.

All filters that are sent must hold. An ID that is unknown, or another
account's, is no error: it is not in the answer.
"""

from __future__ import annotations

from typing import Annotated

from kiln.calls.call import Call
from kiln.declare.deployment import DISK_CATEGORIES, PERFORMANCE_LEVELS
from kiln.declare.errors import ApiError, DryRunOperation, InvalidRegionIdNotFound
from kiln.declare.operation import Operation
from kiln.declare.rules import Composed, Count, Doc, Example, JsonList, Missing, OneOf, Wire
from kiln.declare.shapes import shape
from kiln.declare.states import DiskStatus
from kiln.operations import accepted
from kiln.operations.disks.parts.errors import InvalidParameterMultiAttach
from kiln.operations.disks.parts.portrait import DisksOutput, draw
from kiln.operations.errors.disks import InvalidDiskTypeValueNotSupported
from kiln.operations.errors.tags import InvalidTagCount
from kiln.operations.filters import (
    InvalidFilterKeyNotFound,
    InvalidFilterValue,
    InvalidLockReasonNotFound,
    InvalidTagMismatch,
    TagFilter,
    by_creation,
    by_tags,
)
from kiln.operations.paging import page
from kiln.operations.params import (
    DiskId,
    FilterInput,
    InstanceId,
    NextToken,
    PageNumber,
    PageSize100,
    RegionId,
    ResourceGroupId,
    SnapshotId,
    SnapshotPolicyId,
)
from kiln.store import disks as disk_rows
from kiln.store import tags
from kiln.store.conditions import NOTHING, Condition
from kiln.store.disks import disks

_LOCAL_CATEGORIES = ("local_disk", "local_hdd_pro", "local_ssd_pro", "ephemeral", "ephemeral_ssd")
_ELASTIC_CATEGORIES = ("elastic_ephemeral_disk_standard", "elastic_ephemeral_disk_premium")


class MissingParamterRegionId(ApiError):
    """RegionId was not sent."""

    code = "MissingParamter.RegionId"
    message = "The regionId should not be null."


class InvalidRegionNotFoundOfDisks(ApiError):
    """The RegionId is none of this deployment's."""

    code = "InvalidRegion.NotFound"
    message = "The specified parameter RegionId is not valid."
    hint = InvalidRegionIdNotFound.hint


class InvalidParameterDiskIds(ApiError):
    """DiskIds is no JSON array of texts."""

    code = "InvalidParameter.DiskIds"
    message = "The specified parameter diskIds is not valid."


class InvalidCategoryValueNotSupported(ApiError):
    """The category is none of the documented ones."""

    code = "InvalidCategory.ValueNotSupported"
    message = "The specified disk category is not supported."


class InvalidStatusValueNotSupported(ApiError):
    """The status is none of the documented ones."""

    code = "InvalidStatus.ValueNotSupported"
    message = "The specified disk status is not supported."


class InvalidDiskIdsMalformed(ApiError):
    """More than 100 IDs."""

    code = "InvalidDiskIds.Malformed"
    status = 403
    message = "The amount of specified disk Ids exceeds the limit."


class InvalidDiskChargeTypeNotFound(ApiError):
    """The charge type is none of the documented ones."""

    code = "InvalidDiskChargeType.NotFound"
    status = 404
    message = "The DiskChargeType does not exist in our records."


class InvalidZoneIdNotFoundOfDisks(ApiError):
    """The zone is none of the region's."""

    code = "InvalidZoneId.NotFound"
    message = "The zoneId provided does not exist in our records."


class InvalidFilterKeyNotFoundOfDisks(InvalidFilterKeyNotFound):
    """A Filter.N.Key that is neither CreationStartTime nor CreationEndTime."""

    message = "The filter key is not found."


class InvalidFilterValueOfDisks(InvalidFilterValue):
    """A Filter.N.Value that is no time."""

    message = "The filter value is not valid."


@shape
class Input:
    region_id: Annotated[RegionId, Missing(MissingParamterRegionId)]
    disk_ids: Annotated[
        tuple[DiskId, ...] | None,
        JsonList(InvalidParameterDiskIds),
        Count(100, InvalidDiskIdsMalformed),
        Example('["d-bp131n0q38u3a4zi9p2k"]'),
        Doc("Only these disks, up to 100. An empty list matches nothing."),
    ] = None
    instance_id: Annotated[InstanceId | None, Doc("Only disks of this instance.")] = None
    zone_id: Annotated[str | None, Doc("Only disks in this zone.")] = None
    snapshot_id: Annotated[SnapshotId | None, Doc("Only disks made of this snapshot.")] = None
    disk_name: Annotated[str | None, Composed(), Example("testDiskName"), Doc("Only disks of exactly this name.")] = (
        None
    )
    disk_type: Annotated[
        str,
        OneOf(("all", "system", "data"), InvalidDiskTypeValueNotSupported, any_case=True),
        Doc("Only disks of this type."),
    ] = "all"
    category: Annotated[
        str,
        OneOf(
            ("all", *DISK_CATEGORIES, *_ELASTIC_CATEGORIES, *_LOCAL_CATEGORIES),
            InvalidCategoryValueNotSupported,
            any_case=True,
        ),
        Doc("Only disks of this category."),
    ] = "all"
    status: Annotated[
        str,
        OneOf(("All", *DiskStatus), InvalidStatusValueNotSupported, any_case=True),
        Doc("Only disks in this status."),
    ] = "All"
    disk_charge_type: Annotated[
        str | None,
        OneOf(("PrePaid", "PostPaid"), InvalidDiskChargeTypeNotFound, any_case=True),
        Doc("Only disks that are paid for like this. All here are PostPaid."),
    ] = None
    portable: Annotated[bool | None, Doc("Only disks that can be detached, or cannot.")] = None
    delete_with_instance: Annotated[bool | None, Doc("Only disks that go with their instance, or do not.")] = None
    delete_auto_snapshot: Annotated[
        bool | None, Doc("Only disks whose automatic snapshots go with them, or do not.")
    ] = None
    enable_auto_snapshot: Annotated[
        bool | None, Doc("Only disks that automatic snapshots may be taken of, or may not.")
    ] = None
    enable_automated_snapshot_policy: Annotated[
        bool | None, Doc("Only disks with a policy for automatic snapshots, or without.")
    ] = None
    auto_snapshot_policy_id: Annotated[
        SnapshotPolicyId | None, Doc("Only disks with this policy for automatic snapshots.")
    ] = None
    encrypted: Annotated[bool, Doc("true: only encrypted disks.")] = False
    kms_key_id: Annotated[str | None, Wire("KMSKeyId"), Doc("Only disks encrypted with this key.")] = None
    performance_level: Annotated[
        str | None, OneOf(tuple(PERFORMANCE_LEVELS)), Doc("Only cloud_essd disks of this level.")
    ] = None
    lock_reason: Annotated[
        str | None,
        OneOf(("financial", "security", "recycling", "dedicatedhostfinancial"), InvalidLockReasonNotFound),
        Doc("Only disks that are locked for this reason. There are none."),
    ] = None
    multi_attach: Annotated[
        str | None,
        OneOf(("Disabled", "Enabled", "LegacyShared"), InvalidParameterMultiAttach, any_case=True),
        Doc("Only disks that several instances can have, or cannot. None can."),
    ] = None
    enable_shared: Annotated[bool | None, Doc("Only disks that several instances can have, or cannot.")] = None
    resource_group_id: Annotated[ResourceGroupId | None, Doc("Only disks of this resource group.")] = None
    filter: Annotated[
        tuple[FilterInput, ...] | None,
        Count(10, InvalidFilterKeyNotFoundOfDisks),
        Doc("CreationStartTime and CreationEndTime, as 2026-11-23T06:07Z: only disks made between them."),
    ] = None
    tag: Annotated[
        tuple[TagFilter, ...] | None, Count(20, InvalidTagCount), Doc("Only disks that have all these tags.")
    ] = None
    additional_attributes: Annotated[tuple[str, ...], accepted.WHOLE_ANSWER, Doc("What to add to the answer.")] = ()
    page_number: PageNumber | None = None
    page_size: PageSize100 | None = None
    max_results: Annotated[
        int | None,
        Example("10"),
        Doc("Rows an answer, when paging by NextToken: 10 to 500; less counts as 10, more as 500."),
    ] = None
    next_token: NextToken | None = None


@shape
class Output:
    disks: Annotated[DisksOutput, Doc("The disks of this page.")]
    total_count: Annotated[int, Doc("Disks that meet the filters.")]
    page_number: Annotated[int, Doc("The page.")]
    page_size: Annotated[int, Doc("Rows a page.")]
    next_token: Annotated[str, Doc("To be sent for the next page; empty on the last one.")]


def check(call: Call, p: Input) -> Output:
    if p.zone_id is not None and p.zone_id not in call.deployment.zones(p.region_id):
        raise InvalidZoneIdNotFoundOfDisks(zone_id=p.zone_id)
    order = disk_rows.NEWEST if p.instance_id is None else disk_rows.OF_INSTANCE
    found = page(
        call,
        p,
        disks,
        order,
        _conditions(p),
        account=call.account,
        region=p.region_id,
        least=10,
        most=500,
    )
    tagged = tags.of(call.tx, "disk", [disk.id for disk in found.rows])
    return Output(
        disks=DisksOutput(disk=tuple(draw(disk, tagged[disk.id]) for disk in found.rows)),
        total_count=found.total,
        page_number=found.number,
        page_size=found.size,
        next_token=found.next_token,
    )


def _conditions(p: Input) -> list[Condition]:
    columns = disks.c
    exact = (
        (columns.instance, p.instance_id),
        (columns.zone, p.zone_id),
        (columns.source_snapshot, p.snapshot_id),
        (columns.name, p.disk_name),
        (columns.type, None if p.disk_type.lower() == "all" else p.disk_type.lower()),
        (columns.category, None if p.category.lower() == "all" else p.category.lower()),
        (columns.status, {s.lower(): s.value for s in DiskStatus}.get(p.status.lower())),
        (columns.portable, p.portable),
        (columns.delete_with_instance, p.delete_with_instance),
        (columns.drops_auto_snapshots, p.delete_auto_snapshot),
        (columns.ignores_policy, None if p.enable_auto_snapshot is None else not p.enable_auto_snapshot),
        (columns.snapshot_policy, p.auto_snapshot_policy_id),
        (columns.performance_level, p.performance_level),
        (columns.resource_group, p.resource_group_id),
        (columns.kms_key, p.kms_key_id),
    )
    conditions = [column == value for column, value in exact if value is not None]
    if p.disk_ids is not None:
        conditions.append(columns.id.in_(p.disk_ids))
    if p.enable_automated_snapshot_policy is not None:
        has_none = columns.snapshot_policy == ""
        conditions.append(~has_none if p.enable_automated_snapshot_policy else has_none)
    if p.encrypted:
        conditions.append(columns.kms_key != "")
    if _asks_for_what_is_not_here(p):
        conditions.append(NOTHING)
    conditions += by_creation(disks, p.filter, InvalidFilterKeyNotFoundOfDisks, InvalidFilterValueOfDisks)
    return conditions + by_tags("disk", disks, p.tag)


def _asks_for_what_is_not_here(p: Input) -> bool:
    """Whether a filter names something that no disk of ours is or has."""
    is_prepaid = p.disk_charge_type is not None and p.disk_charge_type.lower() == "prepaid"
    is_shared = p.multi_attach is not None and p.multi_attach.lower() != "disabled"
    return bool(p.enable_shared) or p.lock_reason is not None or is_prepaid or is_shared


describe_disks = Operation(
    input=Input,
    output=Output,
    check=check,
    dry_run=DryRunOperation,
    unknown_region=InvalidRegionNotFoundOfDisks,
    errors=(
        InvalidZoneIdNotFoundOfDisks,
        InvalidFilterKeyNotFoundOfDisks,
        InvalidFilterValueOfDisks,
        InvalidTagMismatch,
    ),
)
