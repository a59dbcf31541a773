"""Take rules for what goes out of its members from a security group.

Rules are meant by their IDs, or by what they say; one that the group does not
have is passed over when it is meant by what it says. Guests that run lose them
at once.
"""

from __future__ import annotations

from typing import Annotated

from kiln.calls.call import Call
from kiln.declare.operation import Operation
from kiln.declare.rules import Count, Doc
from kiln.declare.shapes import shape
from kiln.operations.errors.requests import IDEMPOTENT
from kiln.operations.params import NothingMore, RegionId, SecurityGroupId
from kiln.operations.security_groups.parts import revoking
from kiln.operations.security_groups.parts.revoking import Plan, RuleIds
from kiln.operations.security_groups.parts.rule_input import OWN, Egress, EgressPermission
from kiln.operations.security_groups.parts.rules import EGRESS


@shape
class Permission(EgressPermission):
    """A rule for what goes out."""

    #: A number everywhere but here, where the API has a text.
    dest_group_owner_id: Annotated[str | None, OWN, Doc("Whose the group is.")] = None  # type: ignore[assignment]


@shape
class Input(Egress):
    region_id: RegionId
    security_group_id: SecurityGroupId
    permissions: Annotated[
        tuple[Permission, ...], Count(100), Doc("Rules, up to 100; not together with one beside it.")
    ] = ()
    security_group_rule_id: RuleIds = ()


def check(call: Call, p: Input) -> Plan:
    return revoking.check(call, p, EGRESS)


def commit(call: Call, plan: Plan) -> NothingMore:
    return revoking.commit(call, plan)


revoke_security_group_egress = Operation(
    input=Input,
    output=NothingMore,
    check=check,
    commit=commit,
    idempotent=IDEMPOTENT,
    errors=(*EGRESS.errors, *revoking.ERRORS),
)
