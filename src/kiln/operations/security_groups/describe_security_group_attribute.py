"""Show a security group with its rules, the newest first."""

from __future__ import annotations

from typing import Annotated

from kiln.calls.call import Call
from kiln.declare.errors import InvalidParameter
from kiln.declare.operation import Operation
from kiln.declare.rules import Doc, Example, OneOf
from kiln.declare.shapes import shape
from kiln.ground.clock import to_seconds_text
from kiln.operations.errors.networks import InvalidSecurityGroupIdNotFound
from kiln.operations.paging import page
from kiln.operations.params import NextToken, RegionId, SecurityGroupId
from kiln.operations.security_groups.parts.errors import InvalidNicTypeValueNotSupported
from kiln.store.conditions import Condition
from kiln.store.security_groups import (
    NEWEST_RULES,
    SecurityGroupRule,
    security_group_rules,
    security_groups,
)

_MOST = 1000


@shape
class Input:
    region_id: RegionId
    security_group_id: SecurityGroupId
    direction: Annotated[
        str, OneOf(("ingress", "egress", "all"), any_case=True), Doc("Only rules for what comes in, or goes out.")
    ] = "all"
    nic_type: Annotated[
        str | None,
        OneOf(("internet", "intranet"), InvalidNicTypeValueNotSupported, any_case=True),
        Doc("internet or intranet; in a VPC all rules are of both."),
    ] = None
    attribute: Annotated[
        str | None, OneOf(("snapshotPolicyIds",)), Doc("snapshotPolicyIds, of which there are none.")
    ] = None
    next_token: NextToken | None = None
    max_results: Annotated[
        int | None, Example("500"), Doc("Rules an answer, 10 to 1000, 500 when not given; less counts as 10.")
    ] = None


@shape
class PermissionOutput:
    """One rule."""

    security_group_rule_id: Annotated[str, Example("sgr-bp12kewq32dfwrdi8j2q"), Doc("The ID of the rule.")]
    direction: Annotated[str, Doc("ingress or egress.")]
    ip_protocol: Annotated[str, Doc("TCP, UDP, ICMP, GRE or ALL.")]
    port_range: Annotated[str, Doc("The ports.")]
    policy: Annotated[str, Doc("Accept or Drop.")]
    priority: Annotated[str, Doc("1 to 100.")]
    nic_type: Annotated[str, Doc("Always intranet, as in every VPC.")] = "intranet"
    description: Annotated[str, Doc("The description, or empty.")]
    create_time: Annotated[str, Doc("When it was made, UTC.")]
    source_cidr_ip: Annotated[str, Doc("From where, or empty.")]
    source_group_id: Annotated[str, Doc("From which group's members, or empty.")]
    source_group_name: Annotated[str, Doc("Its name, or empty.")]
    source_group_owner_account: Annotated[str, Doc("Always empty.")] = ""
    source_port_range: Annotated[str, Doc("Always empty.")] = ""
    source_prefix_list_id: Annotated[str, Doc("Always empty.")] = ""
    source_prefix_list_name: Annotated[str, Doc("Always empty.")] = ""
    ipv6_source_cidr_ip: Annotated[str, Doc("Always empty.")] = ""
    dest_cidr_ip: Annotated[str, Doc("Where to, or empty.")]
    dest_group_id: Annotated[str, Doc("To which group's members, or empty.")]
    dest_group_name: Annotated[str, Doc("Its name, or empty.")]
    dest_group_owner_account: Annotated[str, Doc("Always empty.")] = ""
    dest_prefix_list_id: Annotated[str, Doc("Always empty.")] = ""
    dest_prefix_list_name: Annotated[str, Doc("Always empty.")] = ""
    ipv6_dest_cidr_ip: Annotated[str, Doc("Always empty.")] = ""
    port_range_list_id: Annotated[str, Doc("Always empty.")] = ""
    port_range_list_name: Annotated[str, Doc("Always empty.")] = ""


@shape
class PermissionsOutput:
    """Rules."""

    permission: Annotated[tuple[PermissionOutput, ...], Doc("The rules of this page.")]


@shape
class SnapshotPolicyIdsOutput:
    """Snapshot policies."""

    snapshot_policy_id: Annotated[tuple[str, ...], Doc("Always none.")] = ()


@shape
class Output:
    security_group_id: SecurityGroupId
    security_group_name: Annotated[str, Doc("The name, or empty.")]
    description: Annotated[str, Doc("The description, or empty.")]
    region_id: RegionId
    vpc_id: Annotated[str, Doc("The VPC.")]
    inner_access_policy: Annotated[str, Doc("Accept or Drop: whether members reach each other.")]
    permissions: Annotated[PermissionsOutput, Doc("The rules.")]
    snapshot_policy_ids: Annotated[SnapshotPolicyIdsOutput, Doc("Always none.")] = SnapshotPolicyIdsOutput()
    next_token: Annotated[str, Doc("Where the next answer begins; empty with the last.")]


def check(call: Call, p: Input) -> Output:
    group = call.the(security_groups, p.security_group_id, p.region_id, InvalidSecurityGroupIdNotFound)
    wanted: list[Condition] = []
    if p.direction.lower() != "all":
        wanted.append(security_group_rules.c.direction == p.direction.lower())
    found = page(
        call, p, security_group_rules, NEWEST_RULES, wanted, least=10, most=_MOST, default=500, security_group=group.id
    )
    peers = [rule.peer for rule in found.rows if "/" not in rule.peer]
    names = {one.id: one.name for one in security_groups.among(call.tx, "id", peers)}
    return Output(
        security_group_id=group.id,
        security_group_name=group.name,
        description=group.description,
        region_id=group.region,
        vpc_id=group.vpc,
        inner_access_policy=group.inner_access_policy,
        permissions=PermissionsOutput(permission=tuple(_draw(rule, names) for rule in found.rows)),
        next_token=found.next_token,
    )


def _draw(rule: SecurityGroupRule, names: dict[str, str]) -> PermissionOutput:
    block, group = (rule.peer, "") if "/" in rule.peer else ("", rule.peer)
    source = (block, group, names.get(group, "")) if rule.direction == "ingress" else ("", "", "")
    dest = (block, group, names.get(group, "")) if rule.direction == "egress" else ("", "", "")
    return PermissionOutput(
        security_group_rule_id=rule.id,
        direction=rule.direction,
        ip_protocol=rule.protocol.upper(),
        port_range=rule.ports,
        policy=rule.policy.capitalize(),
        priority=str(rule.priority),
        description=rule.description,
        create_time=to_seconds_text(rule.created_at),
        source_cidr_ip=source[0],
        source_group_id=source[1],
        source_group_name=source[2],
        dest_cidr_ip=dest[0],
        dest_group_id=dest[1],
        dest_group_name=dest[2],
    )


describe_security_group_attribute = Operation(
    input=Input, output=Output, check=check, errors=(InvalidParameter, InvalidSecurityGroupIdNotFound)
)
