"""Create a policy for automatic snapshots: when they are taken, and for how long they are kept.

ApplyAutoSnapshotPolicy gives it to disks; then a snapshot of each is taken at
every hour that the policy names, within some seconds of it. Hours and days are
told in UTC+8. A snapshot that cannot be taken at its hour is taken within that
hour, when it can be, or not at all: what was missed for longer is not made up
for.
"""

from __future__ import annotations

from typing import Annotated

from kiln.calls.call import Call
from kiln.declare.errors import ApiError
from kiln.declare.ids import new_id
from kiln.declare.operation import Operation
from kiln.declare.rules import Accepted, Count, Doc, OneOf, Unordered
from kiln.declare.shapes import shape
from kiln.ground.values import dataclass
from kiln.operations.errors.tags import DuplicateTagKey, InvalidTagKeyMalformed, QuotaExceedTags
from kiln.operations.params import ResourceGroupId, SnapshotPolicyId, TagInput, to_pairs
from kiln.operations.snapshots.parts.policy_words import (
    CopiedSnapshotsRetentionDays,
    CopyEncryption,
    EnableCrossRegionCopy,
    ParameterInvalidRepeatWeekdays,
    ParameterInvalidTimePoints,
    PolicyName,
    PolicyRegion,
    RepeatWeekdays,
    RetentionDays,
    TargetCopyRegions,
    TargetTags,
    TimePoints,
    joined,
)
from kiln.operations.steps import resource_groups
from kiln.operations.steps.resource_groups import InvalidResourceGroupNotFound
from kiln.store import tags
from kiln.store.snapshot_policies import SnapshotPolicy, snapshot_policies


class QuotaExceedAutoSnapshotPolicy(ApiError):
    """The account has as many policies in the region as it may."""

    code = "QuotaExceed.AutoSnapshotPolicy"
    status = 403
    message = "The number of automatic snapshot policies exceeds the limit in the region."


@shape
class Input:
    region_id: PolicyRegion
    auto_snapshot_policy_name: PolicyName | None = None
    time_points: TimePoints
    repeat_weekdays: RepeatWeekdays
    retention_days: RetentionDays
    association_type: Annotated[
        str,
        OneOf(("AssociatedWithDisk",)),
        Doc("What it is applied to: AssociatedWithDisk, since tags of instances choose no disks here."),
    ] = "AssociatedWithDisk"
    target_tags: TargetTags = ()
    enable_cross_region_copy: EnableCrossRegionCopy = None
    target_copy_regions: TargetCopyRegions = None
    copied_snapshots_retention_days: CopiedSnapshotsRetentionDays = None
    copy_encryption_configuration: CopyEncryption = None
    storage_location_arn: Annotated[
        str | None, Accepted("Snapshots lie in the same pool as the disks."), Doc("Where the snapshots are kept.")
    ] = None
    resource_group_id: ResourceGroupId | None = None
    tag: Annotated[tuple[TagInput, ...], Unordered(), Count(20, QuotaExceedTags), Doc("Tags of the policy.")] = ()


@shape
class Output:
    auto_snapshot_policy_id: SnapshotPolicyId


@dataclass(frozen=True, kw_only=True)
class Plan:
    policy: SnapshotPolicy
    tags: dict[str, str]


def check(call: Call, p: Input) -> Plan:
    pairs = to_pairs(p.tag)
    resource_groups.check_there(call, p.resource_group_id)
    limit = call.deployment.quotas.snapshot_policies
    if snapshot_policies.count(call.tx, account=call.account, region=p.region_id) >= limit:
        raise QuotaExceedAutoSnapshotPolicy(limit=limit)
    policy = SnapshotPolicy(
        id=new_id("snapshot_policy"),
        account=call.account,
        region=p.region_id,
        name=p.auto_snapshot_policy_name or "",
        hours=joined(p.time_points, ParameterInvalidTimePoints),
        weekdays=joined(p.repeat_weekdays, ParameterInvalidRepeatWeekdays),
        retention_days=p.retention_days,
        resource_group=p.resource_group_id or "",
        created_at=call.now,
        changed_at=call.now,
    )
    return Plan(policy=policy, tags=pairs)


def commit(call: Call, plan: Plan) -> Output:
    snapshot_policies.insert(call.tx, plan.policy)
    tags.add(call.tx, call.account, "snapshotpolicy", plan.policy.id, plan.tags)
    return Output(auto_snapshot_policy_id=plan.policy.id)


create_auto_snapshot_policy = Operation(
    input=Input,
    output=Output,
    check=check,
    commit=commit,
    errors=(
        InvalidResourceGroupNotFound,
        QuotaExceedAutoSnapshotPolicy,
        InvalidTagKeyMalformed,
        DuplicateTagKey,
    ),
)
