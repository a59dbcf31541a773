"""List VPCs, the newest first.

All filters that are sent must hold. An ID that is unknown, or another
account's, is no error: it is not in the answer. The default VPC is in it from
the moment when something has needed it.
"""

from __future__ import annotations

from typing import Annotated

from kiln.calls.call import Call
from kiln.declare.errors import DryRunOperation
from kiln.declare.operation import Operation
from kiln.declare.products import ECS
from kiln.declare.rules import CommaList, Composed, Count, Doc, Example
from kiln.declare.shapes import shape
from kiln.operations import paging
from kiln.operations.params import PageNumber, PageSize50, RegionId, ResourceGroupId
from kiln.operations.vpcs.parts.portrait import VpcOutput, draw
from kiln.store.conditions import NOTHING, Condition
from kiln.store.vpcs import NEWEST, vpcs


@shape
class Input:
    region_id: RegionId
    vpc_id: Annotated[
        tuple[str, ...] | None,
        CommaList(),
        Count(20),
        Example("vpc-bp1qpo0kug3a20qqe9h4"),
        Doc("Only these VPCs: up to 20 IDs with commas between them."),
    ] = None
    vpc_name: Annotated[str | None, Composed(), Doc("Only VPCs of exactly this name.")] = None
    is_default: Annotated[bool | None, Doc("Only the default VPC, or only others.")] = None
    resource_group_id: Annotated[ResourceGroupId | None, Doc("Only VPCs of this resource group.")] = None
    enable_ipv6: Annotated[bool | None, Doc("true: only VPCs with IPv6, of which there are none.")] = None
    page_number: PageNumber | None = None
    page_size: PageSize50 | None = None


@shape
class VpcsOutput:
    """VPCs."""

    vpc: Annotated[tuple[VpcOutput, ...], Doc("The VPCs of this page.")]


@shape
class Output:
    vpcs: Annotated[VpcsOutput, Doc("The VPCs.")]
    total_count: Annotated[int, Doc("VPCs that meet the filters.")]
    page_number: Annotated[int, Doc("The page.")]
    page_size: Annotated[int, Doc("Rows a page.")]


def check(call: Call, p: Input) -> Output:
    conditions: list[Condition] = [NOTHING] if p.enable_ipv6 else []
    if p.vpc_id is not None:
        conditions.append(vpcs.c.id.in_(p.vpc_id))
    exact = (
        (vpcs.c.name, p.vpc_name),
        (vpcs.c.is_default, p.is_default),
        (vpcs.c.resource_group, p.resource_group_id),
    )
    conditions += [column == value for column, value in exact if value is not None]
    found = paging.page(call, p, vpcs, NEWEST, conditions, most=50, account=call.account, region=p.region_id)
    return Output(
        vpcs=VpcsOutput(vpc=draw(call.tx, found.rows)),
        total_count=found.total,
        page_number=found.number,
        page_size=found.size,
    )


describe_vpcs = Operation(input=Input, output=Output, check=check, dry_run=DryRunOperation, also_in=(ECS,))
