"""List VSwitches, the newest first.

All filters that are sent must hold. An ID that is unknown, or another
account's, is no error: it is not in the answer.
"""

from __future__ import annotations

from typing import Annotated, Any

from kiln.calls.call import Call
from kiln.declare.errors import DryRunOperation
from kiln.declare.operation import Operation
from kiln.declare.products import ECS
from kiln.declare.rules import CommaList, Composed, Count, Doc, Example
from kiln.declare.shapes import shape
from kiln.operations import paging
from kiln.operations.params import OwnRegionId, PageNumber, PageSize50, ResourceGroupId
from kiln.operations.vswitches.parts.portrait import VSwitchOutput, draw
from kiln.store.conditions import NOTHING, Condition
from kiln.store.vswitches import NEWEST, vswitches


@shape
class Input:
    region_id: OwnRegionId = None
    vpc_id: Annotated[str | None, Doc("Only VSwitches of this VPC.")] = None
    v_switch_id: Annotated[
        tuple[str, ...] | None,
        CommaList(),
        Count(20),
        Example("vsw-bp1s5fnvk4gn2tws03e1"),
        Doc("Only these VSwitches: up to 20 IDs with commas between them."),
    ] = None
    zone_id: Annotated[str | None, Doc("Only VSwitches of this zone.")] = None
    v_switch_name: Annotated[str | None, Composed(), Doc("Only VSwitches of exactly this name.")] = None
    is_default: Annotated[bool | None, Doc("Only those of the default VPC for who names none, or only others.")] = None
    resource_group_id: Annotated[ResourceGroupId | None, Doc("Only VSwitches of this resource group.")] = None
    enable_ipv6: Annotated[bool | None, Doc("true: only VSwitches with IPv6, of which there are none.")] = None
    page_number: PageNumber | None = None
    page_size: PageSize50 | None = None


@shape
class VSwitchesOutput:
    """VSwitches."""

    v_switch: Annotated[tuple[VSwitchOutput, ...], Doc("The VSwitches of this page.")]


@shape
class Output:
    v_switches: Annotated[VSwitchesOutput, Doc("The VSwitches.")]
    total_count: Annotated[int, Doc("VSwitches that meet the filters.")]
    page_number: Annotated[int, Doc("The page.")]
    page_size: Annotated[int, Doc("Rows a page.")]


def check(call: Call, p: Input) -> Output:
    c = vswitches.c
    conditions: list[Condition] = [NOTHING] if p.enable_ipv6 else []
    if p.v_switch_id is not None:
        conditions.append(c.id.in_(p.v_switch_id))
    exact = (
        (c.vpc, p.vpc_id),
        (c.zone, p.zone_id),
        (c.name, p.v_switch_name),
        (c.is_default, p.is_default),
        (c.resource_group, p.resource_group_id),
    )
    conditions += [column == value for column, value in exact if value is not None]
    equal: dict[str, Any] = call.own(p.region_id)
    found = paging.page(call, p, vswitches, NEWEST, conditions, most=50, **equal)
    return Output(
        v_switches=VSwitchesOutput(v_switch=draw(call.tx, found.rows)),
        total_count=found.total,
        page_number=found.number,
        page_size=found.size,
    )


describe_v_switches = Operation(input=Input, output=Output, check=check, dry_run=DryRunOperation, also_in=(ECS,))
