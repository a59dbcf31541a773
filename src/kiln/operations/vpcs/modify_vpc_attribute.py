"""Change the name and the description of a VPC. What is not sent stays as it is."""

from __future__ import annotations

from typing import Annotated

from kiln.calls.call import Call
from kiln.declare.operation import Operation
from kiln.declare.products import ECS
from kiln.declare.rules import Clearable, Composed, Declined, Doc, Example, Wire
from kiln.declare.shapes import shape
from kiln.ground.values import dataclass
from kiln.operations import accepted
from kiln.operations.errors.networks import (
    InvalidVpcDiscriptionMalformed,
    InvalidVpcIdNotFound,
    InvalidVpcNameMalformed,
)
from kiln.operations.network_words import VpcId, network_description, network_name
from kiln.operations.params import NothingMore, OwnRegionId
from kiln.store.vpcs import vpcs


@shape
class Input:
    region_id: OwnRegionId = None
    vpc_id: VpcId
    vpc_name: Annotated[
        str | None, network_name(InvalidVpcNameMalformed), Composed(), Example("build"), Doc("The name.")
    ] = None
    description: Annotated[
        str | None,
        Clearable(),
        network_description(InvalidVpcDiscriptionMalformed),
        Doc("The description. Empty: it has none any more."),
    ] = None
    cidr_block: Annotated[
        str | None, Declined("a VPC keeps the addresses that it was made with"), Doc("Other addresses.")
    ] = None
    user_cidr: Annotated[
        str | None, Declined("there is no way from a VPC to networks of the user's"), Doc("Networks of the user's.")
    ] = None
    enable_ipv6: Annotated[bool | None, Wire("EnableIPv6"), accepted.IPV6, Doc("Whether it has IPv6.")] = None
    ipv6_cidr_block: Annotated[str | None, accepted.IPV6, Doc("Its addresses of IPv6.")] = None
    enable_dns_hostname: Annotated[bool | None, accepted.DNS, Doc("Names for instances.")] = None


@dataclass(frozen=True, kw_only=True)
class Plan:
    vpc: str
    changes: dict[str, str]


def check(call: Call, p: Input) -> Plan:
    row = call.the(vpcs, p.vpc_id, p.region_id, InvalidVpcIdNotFound)
    wanted = {"name": p.vpc_name, "description": p.description}
    return Plan(vpc=row.id, changes={name: value for name, value in wanted.items() if value is not None})


def commit(call: Call, plan: Plan) -> NothingMore:
    if plan.changes:
        vpcs.update(call.tx, plan.changes, id=plan.vpc)
    return NothingMore()


modify_vpc_attribute = Operation(
    input=Input, output=NothingMore, check=check, commit=commit, also_in=(ECS,), errors=(InvalidVpcIdNotFound,)
)
