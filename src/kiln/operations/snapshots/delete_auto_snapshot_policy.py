"""Delete a policy for automatic snapshots. Its disks have none any more; the snapshots that it has taken stay."""

from __future__ import annotations

from kiln.calls.call import Call
from kiln.declare.operation import Operation
from kiln.declare.shapes import shape
from kiln.operations.errors.snapshots import ParameterInvalidSnapshotPolicy
from kiln.operations.params import NothingMore
from kiln.operations.snapshots.parts.policy_words import (
    PolicyId,
    PolicyRegion,
    find_policy,
)
from kiln.store import tags
from kiln.store.disks import disks
from kiln.store.snapshot_policies import SnapshotPolicy, snapshot_policies


@shape
class Input:
    region_id: PolicyRegion
    auto_snapshot_policy_id: PolicyId


def check(call: Call, p: Input) -> SnapshotPolicy:
    return find_policy(call, p.region_id, p.auto_snapshot_policy_id)


def commit(call: Call, plan: SnapshotPolicy) -> NothingMore:
    disks.update(call.tx, {"snapshot_policy": ""}, snapshot_policy=plan.id)
    snapshot_policies.delete(call.tx, id=plan.id)
    tags.drop(call.tx, "snapshotpolicy", plan.id)
    return NothingMore()


delete_auto_snapshot_policy = Operation(
    input=Input,
    output=NothingMore,
    check=check,
    commit=commit,
    gives_back=True,
    errors=(ParameterInvalidSnapshotPolicy,),
)
