"""Give disks a policy for automatic snapshots, in place of the one that each had.

The first snapshot is taken at the next hour that the policy names. A disk has
one policy at most.
"""

from __future__ import annotations

from kiln.calls.call import Call
from kiln.declare.operation import Operation
from kiln.declare.shapes import shape
from kiln.ground.values import dataclass
from kiln.operations.errors.snapshots import ParameterInvalidSnapshotPolicy
from kiln.operations.params import NothingMore
from kiln.operations.snapshots.parts.errors import InvalidDiskIdNotFoundOfPolicy
from kiln.operations.snapshots.parts.policy_words import (
    DiskIds,
    PolicyId,
    PolicyRegion,
    find_disks,
    find_policy,
)
from kiln.store.disks import Disk, disks
from kiln.store.snapshot_policies import SnapshotPolicy


@shape
class Input:
    region_id: PolicyRegion
    auto_snapshot_policy_id: PolicyId
    disk_ids: DiskIds


@dataclass(frozen=True, kw_only=True)
class Plan:
    policy: SnapshotPolicy
    disks: list[Disk]


def check(call: Call, p: Input) -> Plan:
    policy = find_policy(call, p.region_id, p.auto_snapshot_policy_id)
    return Plan(policy=policy, disks=find_disks(call, p.region_id, p.disk_ids))


def commit(call: Call, plan: Plan) -> NothingMore:
    changes = {"snapshot_policy": plan.policy.id, "snapshots_until": call.now}
    for disk in plan.disks:
        # One that has it already keeps what it has still to be done.
        if disk.snapshot_policy != plan.policy.id:
            disks.update(call.tx, changes, id=disk.id)
    return NothingMore()


apply_auto_snapshot_policy = Operation(
    input=Input,
    output=NothingMore,
    check=check,
    commit=commit,
    errors=(ParameterInvalidSnapshotPolicy, InvalidDiskIdNotFoundOfPolicy),
)
