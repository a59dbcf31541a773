"""List snapshot groups with their snapshots, the newest first.

All filters that are sent must hold. An ID that is unknown, or another
account's, is no error: it is not in the answer.

A group is progressing while one of its snapshots is, failed when one of them
is, and accomplished otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from kiln.calls.call import Call
from kiln.declare.errors import ApiError
from kiln.declare.operation import Operation
from kiln.declare.rules import Composed, Count, Doc, Example, OneOf
from kiln.declare.shapes import shape
from kiln.declare.states import SnapshotStatus
from kiln.ground.clock import to_seconds_text
from kiln.operations import accepted
from kiln.operations.errors.tags import InvalidTagCount
from kiln.operations.filters import InvalidTagMismatch, TagFilter, by_nothing, by_tags
from kiln.operations.paging import page
from kiln.operations.params import InstanceId, NextToken, RegionId, ResourceGroupId, SnapshotGroupId, SnapshotId
from kiln.store import tags
from kiln.store.conditions import Condition
from kiln.store.snapshot_groups import NEWEST, SnapshotGroup, in_status, members, snapshot_groups, status_of
from kiln.store.snapshots import Snapshot
from kiln.store.tags import Tag


class InvalidStatusValueNotSupportedOfGroups(ApiError):
    """The status is none of the documented ones."""

    code = "InvalidStatus.ValueNotSupported"
    status = 403
    message = "The specified status is not supported: {rule}."


@shape
class Input:
    region_id: RegionId
    snapshot_group_id: Annotated[tuple[SnapshotGroupId, ...] | None, Count(10), Doc("Only these groups, up to 10.")] = (
        None
    )
    instance_id: Annotated[InstanceId | None, Doc("Only groups of this instance's disks.")] = None
    name: Annotated[str | None, Composed(), Example("testName"), Doc("Only groups of exactly this name.")] = None
    status: Annotated[
        tuple[Annotated[str, OneOf(tuple(SnapshotStatus), InvalidStatusValueNotSupportedOfGroups)], ...] | None,
        Count(3, InvalidStatusValueNotSupportedOfGroups),
        Example("accomplished"),
        Doc("Only groups in one of these: progressing, accomplished, failed."),
    ] = None
    resource_group_id: Annotated[ResourceGroupId | None, Doc("Only groups of this resource group.")] = None
    additional_attributes: Annotated[tuple[str, ...], accepted.WHOLE_ANSWER, Doc("What to add to the answer.")] = ()
    tag: Annotated[
        tuple[TagFilter, ...] | None, Count(20, InvalidTagCount), Doc("Only groups that have all these tags.")
    ] = None
    max_results: Annotated[int | None, Example("10"), Doc("Rows an answer: 1 to 100; more counts as 100.")] = None
    next_token: NextToken | None = None


@shape
class KeyValueOutput:
    """One tag."""

    key: Annotated[str, Doc("The key.")]
    value: Annotated[str, Doc("The value.")]


@shape
class KeyValuesOutput:
    """Tags."""

    tag: Annotated[tuple[KeyValueOutput, ...], Doc("The tags.")]


@shape
class MemberOutput:
    """One snapshot of a group."""

    snapshot_id: SnapshotId
    source_disk_id: Annotated[str, Doc("The disk that it was taken of. The disk may be gone.")]
    source_disk_type: Annotated[str, Doc("system or data.")]
    progress: Annotated[str, Example("100%"), Doc("How much is done.")]
    available: Annotated[bool, Doc("Whether it can be used: it is accomplished.")]
    instant_access: Annotated[bool, Doc("Always false: it is accomplished at once anyway.")]
    instant_access_retention_days: Annotated[int, Doc("Always 0.")]
    tags: Annotated[KeyValuesOutput, Doc("The snapshot's own tags.")]


@shape
class MembersOutput:
    """The snapshots of a group."""

    snapshot: Annotated[tuple[MemberOutput, ...], Doc("The system disk's first, the others by device.")]


@shape
class SnapshotGroupOutput:
    """One group."""

    snapshot_group_id: SnapshotGroupId
    name: Annotated[str, Doc("The name.")]
    description: Annotated[str, Doc("The description.")]
    status: Annotated[str, Doc("progressing, accomplished or failed.")]
    progress_status: Annotated[str, Doc("Always empty.")]
    instance_id: Annotated[str, Doc("Whose disks they were. The instance may be gone.")]
    creation_time: Annotated[str, Example("2026-11-23T06:07:05Z"), Doc("The instant that it captured.")]
    resource_group_id: Annotated[str, Doc("The resource group, or empty.")]
    snapshots: Annotated[MembersOutput, Doc("Its snapshots, without those that were deleted since.")]
    tags: Annotated[KeyValuesOutput, Doc("Its tags.")]


@shape
class SnapshotGroupsOutput:
    """Groups."""

    snapshot_group: Annotated[tuple[SnapshotGroupOutput, ...], Doc("The groups.")]


@shape
class Output:
    snapshot_groups: Annotated[SnapshotGroupsOutput, Doc("The groups of this page.")]
    next_token: Annotated[str, Doc("To be sent for the next page; empty on the last one.")]


def check(call: Call, p: Input) -> Output:
    found = page(call, p, snapshot_groups, NEWEST, _conditions(p), account=call.account, region=p.region_id)
    ids = [group.id for group in found.rows]
    own = members(call.tx, ids)
    tagged = tags.of(call.tx, "snapshotgroup", ids)
    of_members = tags.of(call.tx, "snapshot", [one.id for ones in own.values() for one in ones])
    drawn = (
        _draw(group, [_draw_member(one, of_members[one.id]) for one in own[group.id]], own[group.id], tagged[group.id])
        for group in found.rows
    )
    return Output(snapshot_groups=SnapshotGroupsOutput(snapshot_group=tuple(drawn)), next_token=found.next_token)


def _conditions(p: Input) -> list[Condition]:
    c = snapshot_groups.c
    exact = ((c.instance, p.instance_id), (c.name, p.name), (c.resource_group, p.resource_group_id))
    conditions = [column == value for column, value in exact if value is not None]
    if p.snapshot_group_id is not None:
        conditions.append(c.id.in_(p.snapshot_group_id))
    conditions += by_nothing(p.status)
    if p.status:
        conditions.append(in_status(p.status))
    return conditions + by_tags("snapshotgroup", snapshot_groups, p.tag)


def _draw(
    group: SnapshotGroup, drawn: Sequence[MemberOutput], own: Sequence[Snapshot], tagged: Sequence[Tag]
) -> SnapshotGroupOutput:
    return SnapshotGroupOutput(
        snapshot_group_id=group.id,
        name=group.name,
        description=group.description,
        status=status_of(own),
        progress_status="",
        instance_id=group.instance,
        creation_time=to_seconds_text(group.created_at),
        resource_group_id=group.resource_group,
        snapshots=MembersOutput(snapshot=tuple(drawn)),
        tags=_draw_tags(tagged),
    )


def _draw_member(one: Snapshot, tagged: Sequence[Tag]) -> MemberOutput:
    return MemberOutput(
        snapshot_id=one.id,
        source_disk_id=one.source_disk,
        source_disk_type=one.source_disk_type,
        progress=f"{one.progress}%",
        available=one.status == SnapshotStatus.ACCOMPLISHED,
        instant_access=False,
        instant_access_retention_days=0,
        tags=_draw_tags(tagged),
    )


def _draw_tags(tagged: Sequence[Tag]) -> KeyValuesOutput:
    return KeyValuesOutput(tag=tuple(KeyValueOutput(key=tag.key, value=tag.value) for tag in tagged))


describe_snapshot_groups = Operation(input=Input, output=Output, check=check, errors=(InvalidTagMismatch,))
