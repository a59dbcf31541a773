"""Create a VPC: a private network, from which nothing leads to another.

It is Available at once, and empty: VSwitches and security groups are made in it
by CreateVSwitch and CreateSecurityGroup. VPCs may have the same addresses.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from kiln.calls.call import Call
from kiln.declare.errors import ApiError
from kiln.declare.operation import Operation
from kiln.declare.products import ECS
from kiln.declare.rules import Composed, Declined, Doc, Example, Wire
from kiln.declare.shapes import shape
from kiln.networks import values
from kiln.networks.errors import NetworkInvalid
from kiln.operations import accepted
from kiln.operations.errors.networks import (
    InvalidCidrBlockMalformed,
    InvalidVpcDiscriptionMalformed,
    InvalidVpcNameMalformed,
)
from kiln.operations.errors.requests import IDEMPOTENT
from kiln.operations.network_words import Cidr, NoTags, VpcId, network_description, network_name
from kiln.operations.params import RegionId, ResourceGroupId
from kiln.operations.steps import resource_groups
from kiln.operations.steps.network_drafts import new_vpc
from kiln.operations.steps.resource_groups import InvalidResourceGroupNotFound
from kiln.operations.vpcs.parts.portrait import route_table_of, router_of
from kiln.store.vpcs import Vpc, vpcs


class QuotaExceededVpc(ApiError):
    """The account has as many VPCs in the region as it may."""

    code = "QuotaExceeded.Vpc"
    message = "VPC quota exceeded."
    hint = "`kiln vpc delete VPC` takes away one that is not needed."


@shape
class Input:
    region_id: RegionId
    cidr_block: Annotated[
        str,
        Cidr(InvalidCidrBlockMalformed),
        Example("10.0.0.0/16"),
        Doc("Its addresses, with a mask of 8 to 28 bits."),
    ] = "172.16.0.0/12"
    vpc_name: Annotated[
        str | None,
        network_name(InvalidVpcNameMalformed),
        Composed(),
        Example("build"),
        Doc("The name; several may have one."),
    ] = None
    description: Annotated[str | None, network_description(InvalidVpcDiscriptionMalformed), Doc("A description.")] = (
        None
    )
    resource_group_id: ResourceGroupId | None = None
    user_cidr: Annotated[
        str | None, Declined("there is no way from a VPC to networks of the user's"), Doc("Networks of the user's.")
    ] = None
    enable_ipv6: Annotated[bool | None, Wire("EnableIpv6"), accepted.IPV6, Doc("Whether it has IPv6.")] = None
    ipv6_cidr_block: Annotated[str | None, accepted.IPV6, Doc("Its addresses of IPv6.")] = None
    enable_dns_hostname: Annotated[bool | None, accepted.DNS, Doc("Names for instances.")] = None
    ipv4_ipam_pool_id: Annotated[
        str | None, Declined("there are no pools of addresses"), Doc("A pool that the addresses are taken from.")
    ] = None
    tag: NoTags = ()


@shape
class Output:
    vpc_id: VpcId
    v_router_id: Annotated[str, Doc("The router's ID, made of the VPC's.")]
    route_table_id: Annotated[str, Doc("The route table's ID, made of the VPC's.")]
    resource_group_id: Annotated[str, Doc("The resource group, or empty.")]


def check(call: Call, p: Input) -> Vpc:
    resource_groups.check_there(call, p.resource_group_id)
    if vpcs.count(call.tx, **call.own(p.region_id)) >= call.deployment.quotas.vpcs:
        raise QuotaExceededVpc
    row = replace(
        new_vpc(call.account, p.region_id, p.cidr_block, call.now),
        name=p.vpc_name or "",
        description=p.description or "",
        resource_group=p.resource_group_id or "",
    )
    try:
        values.Vpc(id=row.id, cidr=row.cidr)
    except NetworkInvalid as e:
        raise InvalidCidrBlockMalformed(cidr_block=p.cidr_block) from e
    return row


def commit(call: Call, row: Vpc) -> Output:
    vpcs.insert(call.tx, row)
    return Output(
        vpc_id=row.id,
        v_router_id=router_of(row.id),
        route_table_id=route_table_of(row.id),
        resource_group_id=row.resource_group,
    )


create_vpc = Operation(
    input=Input,
    output=Output,
    check=check,
    commit=commit,
    idempotent=IDEMPOTENT,
    also_in=(ECS,),
    errors=(InvalidCidrBlockMalformed, InvalidResourceGroupNotFound, QuotaExceededVpc),
)
