"""List snapshots, the newest first.

Those of one instant, as of an image, stand together: the system disk's first,
the others by device.

All filters that are sent must hold. An ID that is unknown, or another
account's, is no error: it is not in the answer.
"""

from __future__ import annotations

from typing import Annotated

from kiln.calls.call import Call
from kiln.declare.errors import ApiError, DryRunOperation
from kiln.declare.operation import Operation
from kiln.declare.rules import Composed, Count, Doc, Example, JsonList, OneOf, Wire
from kiln.declare.shapes import shape
from kiln.operations.errors.tags import InvalidTagCount
from kiln.operations.filters import (
    InvalidFilterKeyNotFound,
    InvalidFilterValue,
    InvalidStatusNotFound,
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
)
from kiln.operations.snapshots.parts.portrait import SnapshotsOutput, draw
from kiln.store import tags
from kiln.store.conditions import NOTHING, Condition
from kiln.store.snapshots import NEWEST, made, made_disks, made_images, snapshots

_USAGES: dict[str, Condition] = {
    "image": made_images & ~made_disks,
    "disk": made_disks & ~made_images,
    "image_disk": made_images & made_disks,
    "none": ~made_images & ~made_disks,
}


class InvalidSnapshotIdsMalformed(ApiError):
    """More than 100 IDs."""

    code = "InvalidSnapshotIds.Malformed"
    status = 403
    message = "The amount of specified specified snapshot Ids exceeds the limit."


class InvalidSnapshotCategoryMalformed(ApiError):
    """The category is none of the documented ones."""

    code = "InvalidSnapshotCategory.Malformed"
    status = 403
    message = "The specified Category is not valid."


class InvalidFilterKeyNotFoundOfSnapshots(InvalidFilterKeyNotFound):
    """A Filter.N.Key that is neither CreationStartTime nor CreationEndTime."""

    message = "The specified FilterKey is not found."


class InvalidFilterValueOfSnapshots(InvalidFilterValue):
    """A Filter.N.Value that is no time."""

    message = "The specified FilterValue  exceeds the limit."


class InvalidUsage(ApiError):
    """The usage is none of the documented ones."""

    code = "InvalidUsage"
    status = 404
    message = "The specifed Usage is not valid."


class InvalidSourceDiskType(ApiError):
    """The source disk's type is neither system nor data."""

    code = "InvalidSourceDiskType"
    status = 404
    message = "The specifed SourceDiskType is not valid."


class InvalidSnapshotTypeNotFound(ApiError):
    """The snapshot type is none of the documented ones."""

    code = "InvalidSnapshotType.NotFound"
    status = 404
    message = "The specfied SnapshotType is not found."


class InvalidSnapshotLinkIdNotFound(ApiError):
    """The account has no snapshot in that chain in the region."""

    code = "InvalidSnapshotLinkId.NotFound"
    status = 404
    message = "The specified snapshot link is not found."


@shape
class Input:
    region_id: RegionId
    snapshot_ids: Annotated[
        tuple[SnapshotId, ...] | None,
        JsonList(),
        Count(100, InvalidSnapshotIdsMalformed),
        Example('["s-bp17441ohwkdca0fg1tq"]'),
        Doc("Only these snapshots, up to 100. An empty list matches nothing."),
    ] = None
    disk_id: Annotated[DiskId | None, Doc("Only snapshots of this disk.")] = None
    instance_id: Annotated[InstanceId | None, Doc("Only snapshots taken of this instance's disks.")] = None
    snapshot_link_id: Annotated[
        str | None, Example("sl-bp131n0q38u3a4zi9p2k"), Doc("Only snapshots of this chain: those of one disk.")
    ] = None
    snapshot_name: Annotated[
        str | None, Composed(), Example("testSnapshotName"), Doc("Only snapshots of exactly this name.")
    ] = None
    status: Annotated[
        str,
        OneOf(("progressing", "accomplished", "failed", "all"), InvalidStatusNotFound, any_case=True),
        Doc("Only snapshots in this status."),
    ] = "all"
    snapshot_type: Annotated[
        str,
        OneOf(("auto", "user", "all"), InvalidSnapshotTypeNotFound, any_case=True),
        Doc("Only automatic snapshots, which a policy has taken, or those that users took."),
    ] = "all"
    usage: Annotated[
        str | None,
        OneOf(tuple(_USAGES), InvalidUsage, any_case=True),
        Doc("Only snapshots of which images, disks, both or neither were made."),
    ] = None
    source_disk_type: Annotated[
        str | None,
        OneOf(("system", "data"), InvalidSourceDiskType, any_case=True),
        Doc("Only snapshots of such disks."),
    ] = None
    category: Annotated[
        str | None,
        OneOf(("standard", "flash", "archive"), InvalidSnapshotCategoryMalformed, any_case=True),
        Doc("Only snapshots of this category. All here are standard ones."),
    ] = None
    encrypted: Annotated[bool, Doc("true: only encrypted snapshots.")] = False
    kms_key_id: Annotated[str | None, Wire("KMSKeyId"), Doc("Only snapshots encrypted with this key.")] = None
    resource_group_id: Annotated[ResourceGroupId | None, Doc("Only snapshots of this resource group.")] = None
    filter: Annotated[
        tuple[FilterInput, ...] | None,
        Count(10, InvalidFilterKeyNotFoundOfSnapshots),
        Doc("CreationStartTime and CreationEndTime, as 2026-11-23T06:07Z: only snapshots made between them."),
    ] = None
    tag: Annotated[
        tuple[TagFilter, ...] | None, Count(20, InvalidTagCount), Doc("Only snapshots that have all these tags.")
    ] = None
    page_number: PageNumber | None = None
    page_size: PageSize100 | None = None
    max_results: Annotated[
        int | None, Example("10"), Doc("Rows an answer, when paging by NextToken: 1 to 100; more counts as 100.")
    ] = None
    next_token: NextToken | None = None


@shape
class Output:
    snapshots: Annotated[SnapshotsOutput, Doc("The snapshots of this page.")]
    total_count: Annotated[int, Doc("Snapshots that meet the filters.")]
    page_number: Annotated[int, Doc("The page.")]
    page_size: Annotated[int, Doc("Rows a page.")]
    next_token: Annotated[str, Doc("To be sent for the next page; empty on the last one.")]


def check(call: Call, p: Input) -> Output:
    found = page(
        call,
        p,
        snapshots,
        NEWEST,
        _conditions(call, p),
        account=call.account,
        region=p.region_id,
    )
    ids = [snapshot.id for snapshot in found.rows]
    used, tagged = made(call.tx, ids), tags.of(call.tx, "snapshot", ids)
    return Output(
        snapshots=SnapshotsOutput(snapshot=tuple(draw(one, used, tagged[one.id]) for one in found.rows)),
        total_count=found.total,
        page_number=found.number,
        page_size=found.size,
        next_token=found.next_token,
    )


def _conditions(call: Call, p: Input) -> list[Condition]:
    columns = snapshots.c
    exact = (
        (columns.source_disk, p.disk_id),
        (columns.instance, p.instance_id),
        (columns.name, p.snapshot_name),
        (columns.source_disk_type, p.source_disk_type and p.source_disk_type.lower()),
        (columns.resource_group, p.resource_group_id),
        (columns.kms_key, p.kms_key_id),
        (columns.status, None if p.status.lower() == "all" else p.status.lower()),
    )
    conditions = [column == value for column, value in exact if value is not None]
    if p.snapshot_ids is not None:
        conditions.append(columns.id.in_(p.snapshot_ids))
    if p.snapshot_link_id is not None:
        conditions.append(columns.source_disk == _disk_of_link(call, p, p.snapshot_link_id))
    if p.usage is not None:
        conditions.append(_USAGES[p.usage.lower()])
    if p.snapshot_type.lower() != "all":
        is_of_user = columns.snapshot_policy == ""
        conditions.append(is_of_user if p.snapshot_type.lower() == "user" else ~is_of_user)
    if p.encrypted:
        conditions.append(columns.kms_key != "")
    if p.category is not None and p.category.lower() != "standard":
        conditions.append(NOTHING)
    conditions += by_creation(snapshots, p.filter, InvalidFilterKeyNotFoundOfSnapshots, InvalidFilterValueOfSnapshots)
    return conditions + by_tags("snapshot", snapshots, p.tag)


def _disk_of_link(call: Call, p: Input, link: str) -> str:
    disk = "d-" + link.removeprefix("sl-")
    # What is no disk's, copies are, has no chain: "sl-" is nobody's.
    if not snapshots.count(call.tx, account=call.account, region=p.region_id, source_disk=disk):
        raise InvalidSnapshotLinkIdNotFound(snapshot_link_id=link)
    return disk


describe_snapshots = Operation(
    input=Input,
    output=Output,
    check=check,
    dry_run=DryRunOperation,
    errors=(
        InvalidFilterKeyNotFoundOfSnapshots,
        InvalidFilterValueOfSnapshots,
        InvalidTagMismatch,
        InvalidSnapshotLinkIdNotFound,
    ),
)
