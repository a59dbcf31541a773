"""Delete a snapshot group, and its snapshots with it.

A snapshot that an image or a disk was made of stays, without its group, and the
answer says so of each. When all of them would stay the request is refused, and
nothing is changed. A group that is still progressing is cancelled. The tags of
what is deleted go with it.
"""

from __future__ import annotations

from typing import Annotated

from kiln.calls.call import Call
from kiln.declare.errors import ApiError
from kiln.declare.operation import Operation
from kiln.declare.rules import Doc
from kiln.declare.shapes import shape
from kiln.ground.values import dataclass
from kiln.operations.params import RegionId, SnapshotGroupId
from kiln.operations.snapshots.parts.errors import InvalidSnapshotGroupNotFound
from kiln.operations.steps import deleting
from kiln.operations.steps.deleting import SnapshotCreatedDisk, SnapshotCreatedImage
from kiln.store import tags
from kiln.store.snapshot_groups import SnapshotGroup, members, snapshot_groups
from kiln.store.snapshots import Snapshot, snapshots


@shape
class Input:
    region_id: RegionId
    snapshot_group_id: SnapshotGroupId


@shape
class RelatedItemOutput:
    """What it is about."""

    name: Annotated[str, Doc("Always SnapshotId.")]
    value: Annotated[str, Doc("The snapshot.")]


@shape
class RelatedItemsOutput:
    """What it is about."""

    related_item: Annotated[tuple[RelatedItemOutput, ...], Doc("One.")]


@shape
class ProgressOutput:
    """What became of one snapshot."""

    operation_status: Annotated[str, Doc("Success: it is deleted. Failed: it stays.")]
    error_code: Annotated[str, Doc("Why it stays, or empty.")]
    error_msg: Annotated[str, Doc("The same in words.")]
    related_item_set: Annotated[RelatedItemsOutput, Doc("Which snapshot.")]


@shape
class ProgressSetOutput:
    """What became of the snapshots."""

    operation_progress: Annotated[tuple[ProgressOutput, ...], Doc("One for each snapshot.")]


@shape
class Output:
    operation_progress_set: Annotated[ProgressSetOutput, Doc("What became of the snapshots.")]


@dataclass(frozen=True, kw_only=True)
class Plan:
    group: SnapshotGroup
    members: list[Snapshot]
    refused: dict[str, ApiError]


def check(call: Call, p: Input) -> Plan:
    group = call.the(snapshot_groups, p.snapshot_group_id, p.region_id, InvalidSnapshotGroupNotFound)
    own = members(call.tx, [group.id])[group.id]
    refused = deleting.refusals(call.tx, [one.id for one in own])
    if own and len(refused) == len(own):
        raise refused[own[0].id]
    return Plan(group=group, members=own, refused=refused)


def commit(call: Call, plan: Plan) -> Output:
    for one in plan.members:
        if one.id not in plan.refused:
            deleting.delete(call.tx, call.ports, one)
    snapshots.update(call.tx, {"snapshot_group": ""}, snapshot_group=plan.group.id)
    snapshot_groups.delete(call.tx, id=plan.group.id)
    tags.drop(call.tx, "snapshotgroup", plan.group.id)
    drawn = tuple(_draw(one.id, plan.refused.get(one.id)) for one in plan.members)
    return Output(operation_progress_set=ProgressSetOutput(operation_progress=drawn))


def _draw(snapshot: str, refusal: ApiError | None) -> ProgressOutput:
    item = RelatedItemOutput(name="SnapshotId", value=snapshot)
    return ProgressOutput(
        operation_status="Success" if refusal is None else "Failed",
        error_code="" if refusal is None else refusal.code,
        error_msg="" if refusal is None else str(refusal),
        related_item_set=RelatedItemsOutput(related_item=(item,)),
    )


delete_snapshot_group = Operation(
    input=Input,
    output=Output,
    check=check,
    commit=commit,
    gives_back=True,
    errors=(InvalidSnapshotGroupNotFound, SnapshotCreatedImage, SnapshotCreatedDisk),
)
