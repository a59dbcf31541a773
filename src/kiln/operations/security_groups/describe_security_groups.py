"""List security groups, the newest first. All filters that are sent must hold."""

from __future__ import annotations

from typing import Annotated

from kiln.calls.call import Call
from kiln.declare.errors import DryRunOperation, InvalidParameter
from kiln.declare.operation import Operation
from kiln.declare.rules import Composed, Count, Doc, Example, JsonList, OneOf, Wire
from kiln.declare.shapes import shape
from kiln.ground.clock import to_seconds_text
from kiln.networks.values import MOST_INTERFACES
from kiln.operations import accepted
from kiln.operations.errors.tags import InvalidTagCount
from kiln.operations.filters import InvalidTagMismatch, TagFilter, by_tags
from kiln.operations.paging import page
from kiln.operations.params import (
    NextToken,
    PageNumber,
    PageSize100,
    RegionId,
    ResourceGroupId,
    SecurityGroupId,
    TagsOutput,
    draw_tags,
)
from kiln.operations.security_groups.parts.rules import names_groups
from kiln.store import tags
from kiln.store.conditions import NOTHING, Condition, fits
from kiln.store.interfaces import memberships
from kiln.store.security_groups import NEWEST, SecurityGroup, SecurityGroupRule, security_group_rules, security_groups
from kiln.store.tags import Tag


@shape
class Input:
    region_id: RegionId
    security_group_ids: Annotated[
        tuple[SecurityGroupId, ...] | None,
        JsonList(),
        Count(100),
        Example('["sg-bp67acfmxazb4ph3j2k8"]'),
        Doc("Only these groups, up to 100."),
    ] = None
    security_group_id: Annotated[SecurityGroupId | None, Doc("Only this group.")] = None
    security_group_name: Annotated[str | None, Composed(), Doc("Only groups of exactly this name.")] = None
    fuzzy_query: Annotated[bool, Doc("Whether a part of the name will do.")] = False
    vpc_id: Annotated[str | None, Doc("Only groups of this VPC.")] = None
    security_group_type: Annotated[
        str | None, OneOf(("normal", "enterprise"), any_case=True), Doc("normal, which all are here, or enterprise.")
    ] = None
    network_type: Annotated[
        str | None, OneOf(("vpc", "classic"), any_case=True), Doc("vpc, where all are here, or classic.")
    ] = None
    resource_group_id: Annotated[ResourceGroupId | None, Doc("Only groups of this resource group.")] = None
    tag: Annotated[
        tuple[TagFilter, ...] | None, Count(20, InvalidTagCount), Doc("Only groups that have all these tags.")
    ] = None
    service_managed: Annotated[
        bool | None, Doc("true: only those that a service manages, of which there are none.")
    ] = None
    is_query_ecs_count: Annotated[bool | None, accepted.WHOLE_ANSWER, Doc("Whether to count who is in it.")] = None
    next_token: NextToken | None = None
    max_results: Annotated[
        int | None, Example("10"), Doc("Rows an answer, when paging by NextToken: 1 to 100; more counts as 100.")
    ] = None
    page_number: PageNumber | None = None
    page_size: PageSize100 | None = None


@shape
class GroupOutput:
    """One security group."""

    security_group_id: SecurityGroupId
    security_group_name: Annotated[str, Doc("The name, or empty.")]
    description: Annotated[str, Doc("The description, or empty.")]
    security_group_type: Annotated[str, Doc("Always normal.")]
    vpc_id: Annotated[str, Doc("The VPC.")]
    creation_time: Annotated[str, Example("2026-11-23T06:07:05Z"), Doc("When it was made, UTC.")]
    ecs_count: Annotated[int, Doc("How many interfaces are in it.")]
    available_instance_amount: Annotated[int, Doc("How many more can be.")]
    rule_count: Annotated[int, Doc("How many rules it has.")]
    group_to_group_rule_count: Annotated[int, Doc("How many of them name other groups.")]
    resource_group_id: Annotated[str, Doc("The resource group, or empty.")]
    service_managed: Annotated[bool, Doc("Always false.")] = False
    service_id: Annotated[int, Wire("ServiceID"), Doc("Always 0.")] = 0
    tags: Annotated[TagsOutput, Doc("Tags.")]


@shape
class GroupsOutput:
    """Security groups."""

    security_group: Annotated[tuple[GroupOutput, ...], Doc("The groups of this page.")]


@shape
class Output:
    security_groups: Annotated[GroupsOutput, Doc("The groups.")]
    region_id: RegionId
    total_count: Annotated[int, Doc("How many groups there are on all pages.")]
    page_number: Annotated[int, Doc("The page.")]
    page_size: Annotated[int, Doc("Rows a page.")]
    next_token: Annotated[str, Doc("Where the next answer begins; empty with the last.")]


def check(call: Call, p: Input) -> Output:
    found = page(call, p, security_groups, NEWEST, _conditions(p), account=call.account, region=p.region_id)
    ids = [group.id for group in found.rows]
    labels = tags.of(call.tx, "securitygroup", ids)
    rules: dict[str, list[SecurityGroupRule]] = {one: [] for one in ids}
    for rule in security_group_rules.among(call.tx, "security_group", ids):
        rules[rule.security_group].append(rule)
    members = [one.security_group for one in memberships.among(call.tx, "security_group", ids)]
    drawn = (_draw(one, rules[one.id], members.count(one.id), labels[one.id]) for one in found.rows)
    return Output(
        security_groups=GroupsOutput(security_group=tuple(drawn)),
        region_id=p.region_id,
        total_count=found.total,
        page_number=found.number,
        page_size=found.size,
        next_token=found.next_token,
    )


def _conditions(p: Input) -> list[Condition]:
    c = security_groups.c
    wanted = (
        (c.id, p.security_group_id),
        (c.vpc, p.vpc_id),
        (c.resource_group, p.resource_group_id),
        (c.type, p.security_group_type and p.security_group_type.lower()),
    )
    conditions: list[Condition] = [column == value for column, value in wanted if value is not None]
    if p.security_group_ids is not None:
        conditions.append(c.id.in_(p.security_group_ids))
    if p.security_group_name is not None:
        is_part = p.fuzzy_query
        conditions.append(fits(c.name, f"*{p.security_group_name}*") if is_part else c.name == p.security_group_name)
    if p.service_managed or (p.network_type or "").lower() == "classic":
        conditions.append(NOTHING)
    return conditions + by_tags("securitygroup", security_groups, p.tag)


def _draw(group: SecurityGroup, rules: list[SecurityGroupRule], members: int, labels: list[Tag]) -> GroupOutput:
    return GroupOutput(
        security_group_id=group.id,
        security_group_name=group.name,
        description=group.description,
        security_group_type=group.type,
        vpc_id=group.vpc,
        creation_time=to_seconds_text(group.created_at),
        ecs_count=members,
        available_instance_amount=max(MOST_INTERFACES - members, 0),
        rule_count=len(rules),
        group_to_group_rule_count=names_groups(rules),
        resource_group_id=group.resource_group,
        tags=draw_tags(labels),
    )


describe_security_groups = Operation(
    input=Input,
    output=Output,
    check=check,
    dry_run=DryRunOperation,
    errors=(InvalidParameter, InvalidTagMismatch),
)
