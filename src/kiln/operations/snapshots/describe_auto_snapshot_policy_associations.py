"""List which disks have which policies for automatic snapshots, the newest disks first."""

from __future__ import annotations

from typing import Annotated

from kiln.calls.call import Call
from kiln.declare.errors import InvalidParameter
from kiln.declare.operation import Operation
from kiln.declare.rules import Doc, Example
from kiln.declare.shapes import shape
from kiln.operations.paging import page
from kiln.operations.params import DiskId, NextToken, RegionId, SnapshotPolicyId
from kiln.store.disks import NEWEST, disks


@shape
class Input:
    region_id: RegionId
    auto_snapshot_policy_id: Annotated[SnapshotPolicyId | None, Doc("Only disks that have this policy.")] = None
    disk_id: Annotated[DiskId | None, Doc("Only this disk; not together with AutoSnapshotPolicyId.")] = None
    max_results: Annotated[
        int | None, Example("10"), Doc("Rows an answer: 10 to 100; less counts as 10, more as 100.")
    ] = None
    next_token: NextToken | None = None


@shape
class AssociationOutput:
    """That a disk has a policy."""

    auto_snapshot_policy_id: SnapshotPolicyId
    disk_id: DiskId


@shape
class AssociationsOutput:
    """Which disks have which policies."""

    auto_snapshot_policy_association: Annotated[tuple[AssociationOutput, ...], Doc("One for each disk.")]


@shape
class Output:
    auto_snapshot_policy_associations: Annotated[AssociationsOutput, Doc("Which disks have which policies.")]
    next_token: Annotated[str, Doc("To be sent for the next page; empty on the last one.")]


def check(call: Call, p: Input) -> Output:
    if p.auto_snapshot_policy_id is not None and p.disk_id is not None:
        raise InvalidParameter(parameter="DiskId", rule="only one of AutoSnapshotPolicyId and DiskId may be sent")
    c = disks.c
    wanted = ((c.snapshot_policy, p.auto_snapshot_policy_id), (c.id, p.disk_id))
    conditions = [c.snapshot_policy != "", *(column == value for column, value in wanted if value is not None)]
    found = page(call, p, disks, NEWEST, conditions, account=call.account, region=p.region_id, least=10)
    drawn = (AssociationOutput(auto_snapshot_policy_id=one.snapshot_policy, disk_id=one.id) for one in found.rows)
    return Output(
        auto_snapshot_policy_associations=AssociationsOutput(auto_snapshot_policy_association=tuple(drawn)),
        next_token=found.next_token,
    )


describe_auto_snapshot_policy_associations = Operation(
    input=Input, output=Output, check=check, errors=(InvalidParameter,)
)
