"""What RevokeSecurityGroup and RevokeSecurityGroupEgress share: taking rules from a group."""

from __future__ import annotations

from typing import Annotated, Any

from kiln.calls.call import Call
from kiln.declare.errors import ApiError
from kiln.declare.rules import Count, Doc, Example
from kiln.ground.values import dataclass
from kiln.operations.errors.networks import InvalidSecurityGroupIdNotFound
from kiln.operations.params import NothingMore
from kiln.operations.security_groups.parts import errors, rules
from kiln.operations.security_groups.parts.rules import Side
from kiln.store.security_groups import SecurityGroup, security_group_rules, security_groups
from kiln.store.vpcs import mark_changed

RuleIds = Annotated[
    tuple[str, ...],
    Count(100, errors.InvalidParamSecurityGroupRuleId),
    Example("sgr-bp67acfmxa123bk2j8qz"),
    Doc("Rules by their IDs, up to 100; not together with rules by what they say."),
]

ERRORS: tuple[type[ApiError], ...] = (
    errors.InvalidParamSecurityGroupRuleId,
    errors.InvalidParamSecurityGroupRuleIdRepeated,
    errors.InvalidSecurityGroupRuleIdNotFound,
)


@dataclass(frozen=True, kw_only=True)
class Plan:
    group: SecurityGroup
    rules: list[str]


def check(call: Call, p: Any, side: Side) -> Plan:
    """Which of the group's rules are meant. Raises what *side* and ERRORS list; one that it lacks is no error."""
    group = call.the(security_groups, p.security_group_id, p.region_id, InvalidSecurityGroupIdNotFound)
    there = security_group_rules.all(call.tx, security_group=group.id, direction=side.direction)
    named = p.security_group_rule_id
    if not named:
        asked = {rules.key_of(one.rule) for one in rules.read(call, group, p, side)}
        return Plan(group=group, rules=[row.id for row in there if rules.rule_of(row) in asked])
    if p.permissions or rules.has_one_beside(p, side):
        raise errors.InvalidParamSecurityGroupRuleId
    if len(set(named)) < len(named):
        raise errors.InvalidParamSecurityGroupRuleIdRepeated
    if set(named) - {row.id for row in there}:
        raise errors.InvalidSecurityGroupRuleIdNotFound
    return Plan(group=group, rules=list(named))


def commit(call: Call, plan: Plan) -> NothingMore:
    """Take them away; guests that run lose them shortly after."""
    for one in plan.rules:
        security_group_rules.delete(call.tx, id=one, security_group=plan.group.id)
    if plan.rules:
        mark_changed(call.tx, plan.group.vpc)
    return NothingMore()
