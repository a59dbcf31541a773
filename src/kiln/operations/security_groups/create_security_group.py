"""Make a security group in a VPC, without rules: nothing comes in but from its members, and all goes out.

Without VpcId it is in the account's default VPC, which is made when there is
none.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from kiln.calls.call import Call
from kiln.declare.errors import ApiError
from kiln.declare.operation import Operation
from kiln.declare.rules import Accepted, Count, Doc, Example, OneOf, Unordered
from kiln.declare.shapes import shape
from kiln.ground.values import dataclass
from kiln.operations.errors.networks import InvalidVpcIdNotFound
from kiln.operations.errors.requests import IDEMPOTENT
from kiln.operations.errors.tags import DuplicateTagKey, InvalidTagKeyMalformed, QuotaExceedTags
from kiln.operations.params import RegionId, ResourceGroupId, SecurityGroupId, TagInput, to_pairs
from kiln.operations.security_groups.parts.wording import GroupDescription, GroupName
from kiln.operations.steps import resource_groups
from kiln.operations.steps.default_network import DefaultNetwork
from kiln.operations.steps.network_drafts import new_group
from kiln.operations.steps.resource_groups import InvalidResourceGroupNotFound
from kiln.store import tags
from kiln.store.security_groups import SecurityGroup, security_groups
from kiln.store.vpcs import mark_changed, vpcs


class InvalidParamsGroupType(ApiError):
    """The type is not normal: an enterprise group lets nothing out by itself, which is not done here."""

    code = "InvalidParams.GroupType"
    message = "The specified security group type is not valid."


class QuotaExceedSecurityGroup(ApiError):
    """The account has as many security groups in the region as it may."""

    code = "QuotaExceed.SecurityGroup"
    status = 403
    message = "The maximum number of security groups is reached."


@shape
class Input:
    region_id: RegionId
    vpc_id: Annotated[
        str | None, Example("vpc-bp1opxu1zkhn00gzv2k8"), Doc("The VPC; the default one if not given.")
    ] = None
    security_group_name: GroupName | None = None
    description: GroupDescription | None = None
    security_group_type: Annotated[str, OneOf(("normal",), InvalidParamsGroupType, any_case=True), Doc("normal.")] = (
        "normal"
    )
    service_managed: Annotated[
        bool | None, Accepted("Nobody but the account manages its groups."), Doc("Whether a service manages it.")
    ] = None
    resource_group_id: ResourceGroupId | None = None
    tag: Annotated[tuple[TagInput, ...], Unordered(), Count(20, QuotaExceedTags), Doc("Tags of the group.")] = ()


@shape
class Output:
    security_group_id: SecurityGroupId


@dataclass(frozen=True, kw_only=True)
class Plan:
    network: DefaultNetwork  #: With what it lacks, where no VPC is named.
    row: SecurityGroup
    tags: dict[str, str]


def check(call: Call, p: Input) -> Plan:
    pairs = to_pairs(p.tag)
    resource_groups.check_there(call, p.resource_group_id)
    if security_groups.count(call.tx, **call.own(p.region_id)) >= call.deployment.quotas.security_groups:
        raise QuotaExceedSecurityGroup
    network = DefaultNetwork(call.tx, call.account, p.region_id, call.now)
    named = p.vpc_id and call.the(vpcs, p.vpc_id, p.region_id, InvalidVpcIdNotFound)
    row = replace(
        new_group(call.account, p.region_id, (named or network.vpc()).id, call.now),
        name=p.security_group_name or "",
        description=p.description or "",
        resource_group=p.resource_group_id or "",
    )
    return Plan(network=network, row=row, tags=pairs)


def commit(call: Call, plan: Plan) -> Output:
    plan.network.record()
    security_groups.insert(call.tx, plan.row)
    tags.add(call.tx, call.account, "securitygroup", plan.row.id, plan.tags)
    mark_changed(call.tx, plan.row.vpc)
    return Output(security_group_id=plan.row.id)


create_security_group = Operation(
    input=Input,
    output=Output,
    check=check,
    commit=commit,
    idempotent=IDEMPOTENT,
    errors=(
        InvalidTagKeyMalformed,
        DuplicateTagKey,
        InvalidResourceGroupNotFound,
        QuotaExceedSecurityGroup,
        InvalidVpcIdNotFound,
    ),
)
