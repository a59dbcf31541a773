"""How a VPC looks in an answer. Route tables and routers there are none: the IDs are told, since clients keep them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from kiln.declare.rules import Doc, Wire
from kiln.declare.shapes import shape
from kiln.ground.clock import to_seconds_text
from kiln.operations.network_words import VpcId
from kiln.store.database import Transaction
from kiln.store.vpcs import Vpc
from kiln.store.vswitches import vswitches


@shape
class VSwitchIdsOutput:
    """VSwitches."""

    v_switch_id: Annotated[tuple[str, ...], Doc("The IDs.")] = ()


@shape
class UserCidrsOutput:
    """CIDR blocks of the user's own networks."""

    user_cidr: Annotated[tuple[str, ...], Doc("Always empty.")] = ()


@shape
class VpcOutput:
    """A VPC."""

    vpc_id: VpcId
    region_id: Annotated[str, Doc("The region.")]
    vpc_name: Annotated[str, Doc("The name, or empty.")]
    description: Annotated[str, Doc("The description, or empty.")]
    cidr_block: Annotated[str, Doc("The CIDR block.")]
    status: Annotated[str, Doc("Available.")]
    is_default: Annotated[bool, Doc("Whether it is the default VPC of the account in the region.")]
    creation_time: Annotated[str, Doc("When it was made, UTC.")]
    v_router_id: Annotated[str, Doc("The router's ID, made of the VPC's.")]
    v_switch_ids: Annotated[VSwitchIdsOutput, Doc("Its VSwitches.")]
    user_cidrs: Annotated[UserCidrsOutput, Doc("CIDR blocks of the user's own networks.")] = UserCidrsOutput()
    resource_group_id: Annotated[str, Doc("The resource group, or empty.")]
    owner_id: Annotated[int, Doc("The account.")]
    enabled_ipv6: Annotated[bool, Wire("EnabledIpv6"), Doc("Always false.")] = False


def router_of(vpc: str) -> str:
    """The ID of the router that a VPC has."""
    return "vrt-" + vpc.removeprefix("vpc-")


def route_table_of(vpc: str) -> str:
    """The ID of the route table that a VPC has."""
    return "vtb-" + vpc.removeprefix("vpc-")


def draw(tx: Transaction, rows: Sequence[Vpc]) -> tuple[VpcOutput, ...]:
    """The answer's view of VPCs."""
    switches: dict[str, list[str]] = {row.id: [] for row in rows}
    for switch in vswitches.among(tx, "vpc", list(switches)):
        switches[switch.vpc].append(switch.id)
    return tuple(
        VpcOutput(
            vpc_id=row.id,
            region_id=row.region,
            vpc_name=row.name,
            description=row.description,
            cidr_block=row.cidr,
            status=row.status,
            is_default=row.is_default,
            creation_time=to_seconds_text(row.created_at),
            v_router_id=router_of(row.id),
            v_switch_ids=VSwitchIdsOutput(v_switch_id=tuple(switches[row.id])),
            resource_group_id=row.resource_group,
            owner_id=int(row.account),
        )
        for row in rows
    )
