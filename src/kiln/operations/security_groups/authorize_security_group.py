"""Give a security group rules for what comes in to its members.

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
from kiln.operations.security_groups.parts.rule_input import Ingress, IngressPermission
from kiln.operations.security_groups.parts.rules import INGRESS


@shape
class Input(Ingress):
    region_id: RegionId
    security_group_id: SecurityGroupId
    permissions: Annotated[
        tuple[IngressPermission, ...], Count(100), Doc("Rules, up to 100; not together with one beside it.")
    ] = ()


def check(call: Call, p: Input) -> Plan:
    return authorizing.check(call, p, INGRESS)


def commit(call: Call, plan: Plan) -> NothingMore:
    return authorizing.commit(call, plan)


authorize_security_group = Operation(
    input=Input,
    output=NothingMore,
    check=check,
    commit=commit,
    idempotent=IDEMPOTENT,
    errors=(*INGRESS.errors, *authorizing.ERRORS),
)
