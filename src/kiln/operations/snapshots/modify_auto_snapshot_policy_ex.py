"""Change a policy for automatic snapshots: its name, its hours and days, or for how long its snapshots are kept.

What is not sent stays as it is. It holds for what is taken from then on:
snapshots that there are keep their own days, and hours that are over are not
made up for.
"""

from __future__ import annotations

from typing import Any

from kiln.calls.call import Call
from kiln.declare.operation import Operation
from kiln.declare.shapes import shape
from kiln.ground.values import dataclass
from kiln.operations.errors.requests import NoAttributeToModify
from kiln.operations.errors.snapshots import ParameterInvalidSnapshotPolicy
from kiln.operations.params import NothingMore
from kiln.operations.snapshots.parts.policy_words import (
    CopiedSnapshotsRetentionDays,
    CopyEncryption,
    EnableCrossRegionCopy,
    ParameterInvalidRepeatWeekdays,
    ParameterInvalidTimePoints,
    PolicyId,
    PolicyName,
    PolicyRegion,
    RepeatWeekdays,
    RetentionDays,
    TargetCopyRegions,
    TargetTags,
    TimePoints,
    find_policy,
    joined,
)
from kiln.store.snapshot_policies import snapshot_policies


@shape
class Input:
    region_id: PolicyRegion
    auto_snapshot_policy_id: PolicyId
    auto_snapshot_policy_name: PolicyName | None = None
    time_points: TimePoints | None = None
    repeat_weekdays: RepeatWeekdays | None = None
    retention_days: RetentionDays | None = None
    target_tags: TargetTags = ()
    enable_cross_region_copy: EnableCrossRegionCopy = None
    target_copy_regions: TargetCopyRegions = None
    copied_snapshots_retention_days: CopiedSnapshotsRetentionDays = None
    copy_encryption_configuration: CopyEncryption = None


@dataclass(frozen=True, kw_only=True)
class Plan:
    policy: str
    changes: dict[str, Any]


def check(call: Call, p: Input) -> Plan:
    changes: dict[str, Any] = {}
    if p.auto_snapshot_policy_name is not None:
        changes["name"] = p.auto_snapshot_policy_name
    if p.retention_days is not None:
        changes["retention_days"] = p.retention_days
    if p.time_points is not None:
        changes["hours"] = joined(p.time_points, ParameterInvalidTimePoints)
    if p.repeat_weekdays is not None:
        changes["weekdays"] = joined(p.repeat_weekdays, ParameterInvalidRepeatWeekdays)
    if not changes:
        raise NoAttributeToModify
    policy = find_policy(call, p.region_id, p.auto_snapshot_policy_id)
    if any(getattr(policy, column) != changes.get(column, getattr(policy, column)) for column in ("hours", "weekdays")):
        changes["changed_at"] = call.now
    return Plan(policy=policy.id, changes=changes)


def commit(call: Call, plan: Plan) -> NothingMore:
    snapshot_policies.update(call.tx, plan.changes, id=plan.policy)
    return NothingMore()


modify_auto_snapshot_policy_ex = Operation(
    input=Input,
    output=NothingMore,
    check=check,
    commit=commit,
    errors=(NoAttributeToModify, ParameterInvalidSnapshotPolicy),
)
