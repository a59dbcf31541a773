"""Delete a security group, in which nobody is and which no other group's rule names, with its rules."""

from __future__ import annotations

from kiln.calls.call import Call
from kiln.declare.errors import ApiError
from kiln.declare.operation import Operation
from kiln.declare.shapes import shape
from kiln.operations.errors.networks import InvalidSecurityGroupIdNotFound
from kiln.operations.params import NothingMore, RegionId, SecurityGroupId
from kiln.store import tags
from kiln.store.interfaces import memberships
from kiln.store.security_groups import SecurityGroup, remove, security_group_rules, security_groups
from kiln.store.vpcs import mark_changed


class DependencyViolationMembers(ApiError):
    """Instances are in the group."""

    code = "DependencyViolation"
    status = 403
    message = "There is still instance(s) in the specified security group."
    hint = "`kiln instance list --security-group GROUP` lists them."


class DependencyViolationRules(ApiError):
    """A rule of another group names it."""

    code = "DependencyViolation"
    status = 403
    message = "The specified security group has been authorized in another one."


@shape
class Input:
    region_id: RegionId
    security_group_id: SecurityGroupId


def check(call: Call, p: Input) -> SecurityGroup:
    group = call.the(security_groups, p.security_group_id, p.region_id, InvalidSecurityGroupIdNotFound)
    if memberships.count(call.tx, security_group=group.id):
        raise DependencyViolationMembers
    if security_group_rules.count(call.tx, peer=group.id):
        raise DependencyViolationRules
    return group


def commit(call: Call, group: SecurityGroup) -> NothingMore:
    tags.drop(call.tx, "securitygroup", group.id)
    remove(call.tx, group.id)
    mark_changed(call.tx, group.vpc)
    return NothingMore()


delete_security_group = Operation(
    input=Input,
    output=NothingMore,
    check=check,
    commit=commit,
    gives_back=True,
    errors=(InvalidSecurityGroupIdNotFound, DependencyViolationMembers, DependencyViolationRules),
)
