"""Change a snapshot group's name or description.

What is not sent stays as it is; an empty description takes it away. Its
snapshots keep their own names.
"""

from __future__ import annotations

from typing import Annotated

from kiln.calls.call import Call
from kiln.declare.operation import Operation
from kiln.declare.rules import Clearable, More
from kiln.declare.shapes import shape
from kiln.ground.values import dataclass
from kiln.operations.errors.requests import NoAttributeToModify
from kiln.operations.params import NothingMore, RegionId, SnapshotGroupId
from kiln.operations.snapshots.parts.errors import InvalidSnapshotGroupNotFound
from kiln.operations.snapshots.parts.group_words import GroupDescription, GroupName
from kiln.store.snapshot_groups import snapshot_groups


@shape
class Input:
    region_id: RegionId
    snapshot_group_id: SnapshotGroupId
    name: GroupName | None = None
    description: Annotated[GroupDescription | None, Clearable(), More("Empty: the group has none any more.")] = None


@dataclass(frozen=True, kw_only=True)
class Plan:
    group: str
    changes: dict[str, str]


def check(call: Call, p: Input) -> Plan:
    wanted = {"name": p.name, "description": p.description}
    changes = {column: value for column, value in wanted.items() if value is not None}
    if not changes:
        raise NoAttributeToModify
    group = call.the(snapshot_groups, p.snapshot_group_id, p.region_id, InvalidSnapshotGroupNotFound)
    return Plan(group=group.id, changes=changes)


def commit(call: Call, plan: Plan) -> NothingMore:
    snapshot_groups.update(call.tx, plan.changes, id=plan.group)
    return NothingMore()


modify_snapshot_group = Operation(
    input=Input,
    output=NothingMore,
    check=check,
    commit=commit,
    errors=(NoAttributeToModify, InvalidSnapshotGroupNotFound),
)
