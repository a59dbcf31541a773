"""Take the policy for automatic snapshots from disks. The snapshots that it has taken stay.

A disk that has none, or another than the one that is named, stays as it is.
"""

from __future__ import annotations

from typing import Annotated

from kiln.calls.call import Call
from kiln.declare.operation import Operation
from kiln.declare.rules import Doc
from kiln.declare.shapes import shape
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


@shape
class Input:
    region_id: PolicyRegion
    disk_ids: DiskIds
    auto_snapshot_policy_id: Annotated[PolicyId | None, Doc("Only where a disk has this policy.")] = None


def check(call: Call, p: Input) -> list[Disk]:
    if p.auto_snapshot_policy_id is not None:
        find_policy(call, p.region_id, p.auto_snapshot_policy_id)
    found = find_disks(call, p.region_id, p.disk_ids)
    return [disk for disk in found if p.auto_snapshot_policy_id in (None, disk.snapshot_policy)]


def commit(call: Call, plan: list[Disk]) -> NothingMore:
    for disk in plan:
        disks.update(call.tx, {"snapshot_policy": ""}, id=disk.id)
    return NothingMore()


cancel_auto_snapshot_policy = Operation(
    input=Input,
    output=NothingMore,
    check=check,
    commit=commit,
    gives_back=True,
    errors=(ParameterInvalidSnapshotPolicy, InvalidDiskIdNotFoundOfPolicy),
)
