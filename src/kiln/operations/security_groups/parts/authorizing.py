"""What AuthorizeSecurityGroup and AuthorizeSecurityGroupEgress share: giving a group rules that it lacks."""

from __future__ import annotations

from typing import Any

from kiln.calls.call import Call
from kiln.declare.errors import ApiError
from kiln.declare.ids import new_id
from kiln.ground.values import dataclass
from kiln.networks.values import MOST_RULES
from kiln.operations.errors.networks import InvalidSecurityGroupIdNotFound
from kiln.operations.params import NothingMore
from kiln.operations.security_groups.parts import rules
from kiln.operations.security_groups.parts.errors import AuthorizationLimitExceed, AuthorizedGroupRuleLimitExceed
from kiln.operations.security_groups.parts.rules import Asked, Side
from kiln.store.security_groups import SecurityGroup, SecurityGroupRule, security_group_rules, security_groups
from kiln.store.vpcs import mark_changed

_MOST_OF_GROUPS = 20  #: Rules of a group that name other groups, as the API documents it.

ERRORS: tuple[type[ApiError], ...] = (AuthorizationLimitExceed, AuthorizedGroupRuleLimitExceed)


@dataclass(frozen=True, kw_only=True)
class Plan:
    group: SecurityGroup
    missing: list[SecurityGroupRule]


def check(call: Call, p: Any, side: Side) -> Plan:
    """Which rules the group lacks. Raises what *side* and ERRORS list."""
    group = call.the(security_groups, p.security_group_id, p.region_id, InvalidSecurityGroupIdNotFound)
    there = security_group_rules.all(call.tx, security_group=group.id)
    known = {rules.rule_of(row) for row in there}
    asked = rules.read(call, group, p, side)
    missing = [_draft(call, group, one) for one in asked if rules.key_of(one.rule) not in known]
    if missing and len(there) + len(missing) > MOST_RULES:
        raise AuthorizationLimitExceed
    if rules.names_groups(missing) and rules.names_groups([*there, *missing]) > _MOST_OF_GROUPS:
        raise AuthorizedGroupRuleLimitExceed
    return Plan(group=group, missing=missing)


def commit(call: Call, plan: Plan) -> NothingMore:
    """Write them down; guests that run have them shortly after."""
    if plan.missing:
        security_group_rules.insert(call.tx, *plan.missing)
        mark_changed(call.tx, plan.group.vpc)
    return NothingMore()


def _draft(call: Call, group: SecurityGroup, asked: Asked) -> SecurityGroupRule:
    return SecurityGroupRule(
        id=new_id("security_group_rule"),
        security_group=group.id,
        direction=asked.rule.direction,
        policy=asked.rule.policy,
        priority=asked.rule.priority,
        protocol=asked.rule.protocol,
        ports=rules.ports_text(asked.rule),
        peer=asked.rule.peer,
        nic_type=asked.nic_type,
        description=asked.description,
        created_at=call.now,
    )
