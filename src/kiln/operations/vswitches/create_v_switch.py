"""Create a VSwitch: a part of a VPC's addresses, in one zone, which instances are joined to.

It is Available at once. Its first address and its last three are reserved.
"""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Network
from typing import Annotated

from kiln.calls.call import Call
from kiln.declare.errors import ApiError, InvalidParameter
from kiln.declare.operation import Operation
from kiln.declare.products import ECS
from kiln.declare.rules import Composed, Doc, Example
from kiln.declare.shapes import shape
from kiln.networks import values
from kiln.networks.errors import NetworkInvalid
from kiln.operations.errors.networks import (
    InvalidCidrBlockMalformed,
    InvalidVpcIdNotFound,
    InvalidVSwitchDiscriptionMalformed,
    InvalidVSwitchNameMalformed,
)
from kiln.operations.errors.regions import InvalidZoneIdNotFound
from kiln.operations.errors.requests import IDEMPOTENT
from kiln.operations.network_words import Cidr, NoTags, VpcId, VSwitchId, network_description, network_name
from kiln.operations.params import OwnRegionId
from kiln.operations.steps.network_drafts import new_vswitch
from kiln.store.vpcs import mark_changed, vpcs
from kiln.store.vswitches import VSwitch, vswitches


class InvalidCidrBlockOverlapped(ApiError):
    """Another VSwitch of the VPC has some of the addresses."""

    code = "InvalidCidrBlock.Overlapped"
    message = "Specified CIDR block overlapped with other subnets."
    hint = "`kiln vswitch list --vpc VPC` tells the addresses of each."


class QuotaExceededVSwitch(ApiError):
    """The VPC has as many VSwitches as it may."""

    code = "QuotaExceeded.VSwitch"
    message = "VSwitch quota exceeded in the specified VPC."
    hint = "`kiln vswitch delete VSWITCH` takes away one that is not needed."


@shape
class Input:
    region_id: OwnRegionId = None
    vpc_id: VpcId
    zone_id: Annotated[str, Example("cn-qingdao-env17-d01-a"), Doc("The zone. DescribeZones lists them.")]
    cidr_block: Annotated[
        str,
        Cidr(InvalidCidrBlockMalformed),
        Example("10.0.0.0/24"),
        Doc("Its addresses, of the VPC's, with a mask of 16 to 29 bits."),
    ]
    v_switch_name: Annotated[
        str | None, network_name(InvalidVSwitchNameMalformed), Composed(), Example("build-a"), Doc("The name.")
    ] = None
    description: Annotated[
        str | None, network_description(InvalidVSwitchDiscriptionMalformed), Doc("A description.")
    ] = None
    tag: NoTags = ()


@shape
class Output:
    v_switch_id: VSwitchId


def check(call: Call, p: Input) -> VSwitch:
    vpc = call.the(vpcs, p.vpc_id, p.region_id, InvalidVpcIdNotFound)
    if p.zone_id not in call.deployment.zones(vpc.region):
        raise InvalidZoneIdNotFound(zone_id=p.zone_id)
    row = replace(
        new_vswitch(vpc, p.zone_id, p.cidr_block, call.now),
        name=p.v_switch_name or "",
        description=p.description or "",
    )
    try:
        network = values.VSwitch(id=row.id, cidr=row.cidr).network
    except NetworkInvalid as e:
        raise InvalidCidrBlockMalformed(cidr_block=p.cidr_block) from e
    if not network.subnet_of(IPv4Network(vpc.cidr)):
        raise InvalidParameter(parameter="CidrBlock", rule=f"must lie within that of the VPC, {vpc.cidr}")
    others = vswitches.all(call.tx, vpc=vpc.id)
    if len(others) >= call.deployment.quotas.vswitches_per_vpc:
        raise QuotaExceededVSwitch
    if any(network.overlaps(IPv4Network(one.cidr)) for one in others):
        raise InvalidCidrBlockOverlapped(cidr_block=p.cidr_block)
    return row


def commit(call: Call, row: VSwitch) -> Output:
    vswitches.insert(call.tx, row)
    mark_changed(call.tx, row.vpc)
    return Output(v_switch_id=row.id)


create_v_switch = Operation(
    input=Input,
    output=Output,
    check=check,
    commit=commit,
    idempotent=IDEMPOTENT,
    also_in=(ECS,),
    errors=(
        InvalidVpcIdNotFound,
        InvalidZoneIdNotFound,
        InvalidCidrBlockMalformed,
        InvalidParameter,
        InvalidCidrBlockOverlapped,
        QuotaExceededVSwitch,
    ),
)
