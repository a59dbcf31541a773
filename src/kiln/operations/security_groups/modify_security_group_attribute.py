"""Change a security group's name or description. What is not sent stays as it is."""

from __future__ import annotations

from typing import Annotated

from kiln.calls.call import Call
from kiln.declare.operation import Operation
from kiln.declare.rules import Clearable, More
from kiln.declare.shapes import shape
from kiln.ground.values import dataclass
from kiln.operations.errors.networks import InvalidSecurityGroupIdNotFound
from kiln.operations.params import NothingMore, RegionId, SecurityGroupId
from kiln.operations.security_groups.parts.wording import GroupDescription, GroupName
from kiln.store.security_groups import security_groups


@shape
class Input:
    region_id: RegionId
    security_group_id: SecurityGroupId
    security_group_name: GroupName | None = None
    description: Annotated[GroupDescription | None, Clearable(), More("Empty: the group has none any more.")] = None


@dataclass(frozen=True, kw_only=True)
class Plan:
    group: str
    changes: dict[str, str]


def check(call: Call, p: Input) -> Plan:
    group = call.the(security_groups, p.security_group_id, p.region_id, InvalidSecurityGroupIdNotFound)
    wanted = {"name": p.security_group_name, "description": p.description}
    return Plan(group=group.id, changes={column: value for column, value in wanted.items() if value is not None})


def commit(call: Call, plan: Plan) -> NothingMore:
    if plan.changes:
        security_groups.update(call.tx, plan.changes, id=plan.group)
    return NothingMore()


modify_security_group_attribute = Operation(
    input=Input, output=NothingMore, check=check, commit=commit, errors=(InvalidSecurityGroupIdNotFound,)
)
