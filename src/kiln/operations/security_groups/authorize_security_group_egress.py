"""Give a security group rules for what goes out of its members.

A rule that it has already stays one rule. Guests that run have them at once. A
rule is given in Permissions.N, or, as older clients do, beside it.
"""

from __future__ import annotations

from typing import Annotated

from kiln.calls.call import Call
from kiln.declare.operation import Operation
from kiln.declare.rules import Count, Doc
from kiln.declare.shapes import shape
from kiln.operations.errors.requests import IDEMPOTENT
from kiln.operations.params import NothingMore, RegionId, SecurityGroupId
from kiln.operations.security_groups.parts import authorizing
from kiln.operations.security_groups.parts.authorizing import Plan
from kiln.operations.security_groups.parts.rule_input import Egress, EgressPermission
from kiln.operations.security_groups.parts.rules import EGRESS


@shape
class Input(Egress):
    region_id: RegionId
    security_group_id: SecurityGroupId
    permissions: Annotated[
        tuple[EgressPermission, ...], Count(100), Doc("Rules, up to 100; not together with one beside it.")
    ] = ()


def check(call: Call, p: Input) -> Plan:
    return authorizing.check(call, p, EGRESS)


def commit(call: Call, plan: Plan) -> NothingMore:
    return authorizing.commit(call, plan)


authorize_security_group_egress = Operation(
    input=Input,
    output=NothingMore,
    check=check,
    commit=commit,
    idempotent=IDEMPOTENT,
    errors=(*EGRESS.errors, *authorizing.ERRORS),
)
