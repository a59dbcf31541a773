"""How a VSwitch looks in an answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from kiln.declare.rules import Doc
from kiln.declare.shapes import shape
from kiln.ground.clock import to_seconds_text
from kiln.networks import values
from kiln.operations.network_words import VSwitchId
from kiln.store.database import Transaction
from kiln.store.interfaces import count_in
from kiln.store.vswitches import VSwitch


@shape
class VSwitchOutput:
    """A VSwitch."""

    v_switch_id: VSwitchId
    vpc_id: Annotated[str, Doc("Its VPC.")]
    zone_id: Annotated[str, Doc("Its zone.")]
    v_switch_name: Annotated[str, Doc("The name, or empty.")]
    description: Annotated[str, Doc("The description, or empty.")]
    cidr_block: Annotated[str, Doc("The CIDR block.")]
    available_ip_address_count: Annotated[int, Doc("Addresses that are free for instances.")]
    status: Annotated[str, Doc("Available.")]
    is_default: Annotated[bool, Doc("Whether it is the zone's in the default VPC.")]
    creation_time: Annotated[str, Doc("When it was made, UTC.")]
    resource_group_id: Annotated[str, Doc("The resource group, or empty.")]
    owner_id: Annotated[int, Doc("The account.")]


def draw(tx: Transaction, rows: Sequence[VSwitch]) -> tuple[VSwitchOutput, ...]:
    """The answer's view of VSwitches."""
    taken = count_in(tx, [row.id for row in rows])
    return tuple(
        VSwitchOutput(
            v_switch_id=row.id,
            vpc_id=row.vpc,
            zone_id=row.zone,
            v_switch_name=row.name,
            description=row.description,
            cidr_block=row.cidr,
            available_ip_address_count=_size(row) - taken[row.id],
            status=row.status,
            is_default=row.is_default,
            creation_time=to_seconds_text(row.created_at),
            resource_group_id=row.resource_group,
            owner_id=int(row.account),
        )
        for row in rows
    )


def _size(row: VSwitch) -> int:
    switch = values.VSwitch(id=row.id, cidr=row.cidr)
    return int(switch.gateway) - int(switch.network[1])
