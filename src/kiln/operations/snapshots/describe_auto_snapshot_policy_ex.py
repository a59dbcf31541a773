"""List policies for automatic snapshots, the newest first. All filters that are sent must hold."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Annotated

from kiln.calls.call import Call
from kiln.declare.operation import Operation
from kiln.declare.rules import Composed, Count, Doc, Example, Wire
from kiln.declare.shapes import shape
from kiln.ground.clock import to_seconds_text
from kiln.operations.errors.tags import InvalidTagCount
from kiln.operations.filters import InvalidTagMismatch, TagFilter, by_tags
from kiln.operations.paging import page
from kiln.operations.params import (
    PageNumber,
    PageSize100,
    RegionId,
    ResourceGroupId,
    SnapshotPolicyId,
    TagOutput,
    TagsOutput,
    draw_tags,
)
from kiln.store import tags
from kiln.store.snapshot_policies import FOR_GOOD, NEWEST, SnapshotPolicy, count_disks, snapshot_policies
from kiln.store.tags import Tag


@shape
class Input:
    region_id: RegionId
    auto_snapshot_policy_id: Annotated[SnapshotPolicyId | None, Doc("Only this policy.")] = None
    auto_snapshot_policy_name: Annotated[
        str | None, Composed(), Example("TestName"), Doc("Only policies of exactly this name.")
    ] = None
    resource_group_id: Annotated[ResourceGroupId | None, Doc("Only policies of this resource group.")] = None
    tag: Annotated[
        tuple[TagFilter, ...] | None, Count(20, InvalidTagCount), Doc("Only policies that have all these tags.")
    ] = None
    page_number: PageNumber | None = None
    page_size: PageSize100 | None = None


@shape
class CopyEncryptionOutput:
    """How copies in other regions are encrypted."""

    encrypted: Annotated[bool, Doc("Always false.")]
    kms_key_id: Annotated[str, Wire("KMSKeyId"), Doc("Always empty.")]


@shape
class TargetTagsOutput:
    """Tags of instances to whose disks the policy is applied."""

    target_tag: Annotated[tuple[TagOutput, ...], Doc("Always none.")]


@shape
class PolicyOutput:
    """One policy."""

    auto_snapshot_policy_id: SnapshotPolicyId
    auto_snapshot_policy_name: Annotated[str, Doc("The name.")]
    region_id: RegionId
    status: Annotated[str, Doc("Always Normal.")]
    type: Annotated[str, Doc("Always Custom: somebody has made it.")]
    association_type: Annotated[str, Doc("Always AssociatedWithDisk.")]
    time_points: Annotated[str, Example('["0", "12"]'), Doc("The full hours of the day, in UTC+8: a JSON array.")]
    repeat_weekdays: Annotated[str, Example('["1", "7"]'), Doc("The days, 1 for Monday: a JSON array.")]
    retention_days: Annotated[int, Doc("Days after which its snapshots are deleted; -1: they are kept for good.")]
    disk_nums: Annotated[int, Doc("How many disks have it.")]
    volume_nums: Annotated[int, Doc("Always 0: there are no shared block devices.")]
    creation_time: Annotated[str, Example("2026-11-23T06:07:05Z"), Doc("When it was made.")]
    enable_cross_region_copy: Annotated[bool, Doc("Always false.")]
    target_copy_regions: Annotated[str, Doc("Always empty.")]
    copied_snapshots_retention_days: Annotated[int, Doc("Always -1.")]
    copy_encryption_configuration: Annotated[CopyEncryptionOutput, Doc("How copies would be encrypted.")]
    target_tags: Annotated[TargetTagsOutput, Doc("Always none.")]
    resource_group_id: Annotated[str, Doc("The resource group, or empty.")]
    tags: Annotated[TagsOutput, Doc("Its tags.")]


@shape
class PoliciesOutput:
    """Policies."""

    auto_snapshot_policy: Annotated[tuple[PolicyOutput, ...], Doc("The policies.")]


@shape
class Output:
    auto_snapshot_policies: Annotated[PoliciesOutput, Doc("The policies of this page.")]
    total_count: Annotated[int, Doc("Policies that meet the filters.")]
    page_number: Annotated[int, Doc("The page.")]
    page_size: Annotated[int, Doc("Rows a page.")]


def check(call: Call, p: Input) -> Output:
    c = snapshot_policies.c
    wanted = (
        (c.id, p.auto_snapshot_policy_id),
        (c.name, p.auto_snapshot_policy_name),
        (c.resource_group, p.resource_group_id),
    )
    conditions = [column == value for column, value in wanted if value is not None]
    conditions += by_tags("snapshotpolicy", snapshot_policies, p.tag)
    found = page(call, p, snapshot_policies, NEWEST, conditions, account=call.account, region=p.region_id)
    ids = [policy.id for policy in found.rows]
    counts, tagged = count_disks(call.tx, ids), tags.of(call.tx, "snapshotpolicy", ids)
    drawn = tuple(_draw(policy, counts[policy.id], tagged[policy.id]) for policy in found.rows)
    return Output(
        auto_snapshot_policies=PoliciesOutput(auto_snapshot_policy=drawn),
        total_count=found.total,
        page_number=found.number,
        page_size=found.size,
    )


def _draw(policy: SnapshotPolicy, disks: int, tagged: Sequence[Tag]) -> PolicyOutput:
    return PolicyOutput(
        auto_snapshot_policy_id=policy.id,
        auto_snapshot_policy_name=policy.name,
        region_id=policy.region,
        status="Normal",
        type="Custom",
        association_type="AssociatedWithDisk",
        time_points=json.dumps(policy.hours.split(",")),
        repeat_weekdays=json.dumps(policy.weekdays.split(",")),
        retention_days=policy.retention_days,
        disk_nums=disks,
        volume_nums=0,
        creation_time=to_seconds_text(policy.created_at),
        enable_cross_region_copy=False,
        target_copy_regions="",
        copied_snapshots_retention_days=FOR_GOOD,
        copy_encryption_configuration=CopyEncryptionOutput(encrypted=False, kms_key_id=""),
        target_tags=TargetTagsOutput(target_tag=()),
        resource_group_id=policy.resource_group,
        tags=draw_tags(tagged),
    )


describe_auto_snapshot_policy_ex = Operation(input=Input, output=Output, check=check, errors=(InvalidTagMismatch,))
