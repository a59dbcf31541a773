"""Say whether the members of a security group reach each other where no rule says otherwise.

Guests that run are joined, or parted, at once.
"""

from __future__ import annotations

from typing import Annotated

from kiln.calls.call import Call
from kiln.declare.operation import Operation
from kiln.declare.rules import Doc, OneOf
from kiln.declare.shapes import shape
from kiln.ground.values import dataclass
from kiln.operations.errors.networks import InvalidSecurityGroupIdNotFound
from kiln.operations.errors.requests import IDEMPOTENT
from kiln.operations.params import NothingMore, RegionId, SecurityGroupId
from kiln.operations.security_groups.parts.errors import InvalidPolicyMalformed
from kiln.store.security_groups import SecurityGroup, security_groups
from kiln.store.vpcs import mark_changed


@shape
class Input:
    region_id: RegionId
    security_group_id: SecurityGroupId
    inner_access_policy: Annotated[
        str, OneOf(("Accept", "Drop"), InvalidPolicyMalformed, any_case=True), Doc("Accept or Drop.")
    ]


@dataclass(frozen=True, kw_only=True)
class Plan:
    group: SecurityGroup
    policy: str


def check(call: Call, p: Input) -> Plan:
    group = call.the(security_groups, p.security_group_id, p.region_id, InvalidSecurityGroupIdNotFound)
    return Plan(group=group, policy=p.inner_access_policy.capitalize())


def commit(call: Call, plan: Plan) -> NothingMore:
    if plan.policy != plan.group.inner_access_policy:
        security_groups.update(call.tx, {"inner_access_policy": plan.policy}, id=plan.group.id)
        mark_changed(call.tx, plan.group.vpc)
    return NothingMore()


modify_security_group_policy = Operation(
    input=Input,
    output=NothingMore,
    check=check,
    commit=commit,
    idempotent=IDEMPOTENT,
    errors=(InvalidSecurityGroupIdNotFound,),
)
