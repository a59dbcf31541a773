"""List elastic IP addresses, the newest first.

All filters that are sent must hold. An ID that is unknown, or another
account's, is no error: it is not in the answer.
"""

from __future__ import annotations

from typing import Annotated

from kiln.calls.call import Call
from kiln.declare.errors import DryRunOperation
from kiln.declare.operation import Operation
from kiln.declare.products import ECS
from kiln.declare.rules import CommaList, Composed, Count, Doc, Example, OneOf, Wire
from kiln.declare.shapes import shape
from kiln.declare.states import EipStatus
from kiln.operations import paging
from kiln.operations.eips.parts.portrait import EipOutput, draw
from kiln.operations.filters import InvalidFilterKeyNotFound, InvalidFilterValue, by_creation
from kiln.operations.params import FilterInput, PageNumber, PageSize100, RegionId, ResourceGroupId
from kiln.store.conditions import NOTHING, Condition
from kiln.store.eips import NEWEST, eips


@shape
class Input:
    region_id: RegionId
    allocation_id: Annotated[
        tuple[str, ...] | None,
        CommaList(),
        Count(50),
        Example("eip-2zeerraiwb7ujsxdc3k9"),
        Doc("Only these: up to 50 IDs with commas between them."),
    ] = None
    eip_address: Annotated[
        tuple[str, ...] | None,
        CommaList(),
        Count(50),
        Example("127.88.0.1"),
        Doc("Only these addresses: up to 50 with commas between them."),
    ] = None
    status: Annotated[str | None, OneOf(tuple(EipStatus)), Doc("Only addresses in this status.")] = None
    associated_instance_id: Annotated[str | None, Doc("Only the address that leads to this instance.")] = None
    associated_instance_type: Annotated[
        str | None,
        OneOf(("EcsInstance", "SlbInstance", "Nat", "HaVip", "NetworkInterface", "IpAddress")),
        Doc("Only addresses that lead to such a thing: EcsInstance here."),
    ] = None
    charge_type: Annotated[str | None, OneOf(("PostPaid", "PrePaid")), Doc("Only addresses of this charge type.")] = (
        None
    )
    isp: Annotated[str | None, Wire("ISP"), Doc("Only addresses of this line.")] = None
    lock_reason: Annotated[str | None, Doc("Only locked addresses, of which there are none.")] = None
    eip_name: Annotated[str | None, Composed(), Doc("Only addresses of exactly this name.")] = None
    resource_group_id: Annotated[ResourceGroupId | None, Doc("Only addresses of this resource group.")] = None
    filter: Annotated[
        tuple[FilterInput, ...] | None, Doc("CreationStartTime and CreationEndTime, as 2026-11-23T06:07Z.")
    ] = None
    page_number: PageNumber | None = None
    page_size: PageSize100 | None = None


@shape
class EipAddressesOutput:
    """Elastic IP addresses."""

    eip_address: Annotated[tuple[EipOutput, ...], Doc("The addresses of this page.")]


@shape
class Output:
    eip_addresses: Annotated[EipAddressesOutput, Doc("The addresses.")]
    total_count: Annotated[int, Doc("Addresses that meet the filters.")]
    page_number: Annotated[int, Doc("The page.")]
    page_size: Annotated[int, Doc("Rows a page.")]


def check(call: Call, p: Input) -> Output:
    found = paging.page(call, p, eips, NEWEST, _conditions(p), account=call.account, region=p.region_id)
    return Output(
        eip_addresses=EipAddressesOutput(eip_address=tuple(map(draw, found.rows))),
        total_count=found.total,
        page_number=found.number,
        page_size=found.size,
    )


def _conditions(p: Input) -> list[Condition]:
    c = eips.c
    exact = (
        (c.status, p.status),
        (c.instance, p.associated_instance_id),
        (c.charge_type, p.charge_type),
        (c.isp, p.isp),
        (c.name, p.eip_name),
        (c.resource_group, p.resource_group_id),
    )
    conditions: list[Condition] = [column == value for column, value in exact if value is not None]
    if p.allocation_id is not None:
        conditions.append(c.id.in_(p.allocation_id))
    if p.eip_address is not None:
        conditions.append(c.address.in_(p.eip_address))
    if p.associated_instance_type is not None:
        conditions.append(c.instance != "" if p.associated_instance_type == "EcsInstance" else NOTHING)
    if p.lock_reason is not None:
        conditions.append(NOTHING)
    return conditions + by_creation(eips, p.filter)


describe_eip_addresses = Operation(
    input=Input,
    output=Output,
    check=check,
    dry_run=DryRunOperation,
    also_in=(ECS,),
    errors=(InvalidFilterKeyNotFound, InvalidFilterValue),
)
