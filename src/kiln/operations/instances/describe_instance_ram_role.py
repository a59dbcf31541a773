"""Tell the roles of instances, the newest first, or which instances have a role.

An instance that is named and has no role is told with an empty one.
"""

from __future__ import annotations

from typing import Annotated

from kiln.calls.call import Call
from kiln.declare.errors import MissingParameter
from kiln.declare.operation import Operation
from kiln.declare.rules import Count, Doc, Example, JsonList
from kiln.declare.shapes import shape
from kiln.operations.errors.instances import InvalidInstanceIdNotFound
from kiln.operations.instances.parts.roles import MOST, InvalidInstanceIdsMalformed, RoleOutput, RolesOutput
from kiln.operations.paging import page
from kiln.operations.params import InstanceId, PageNumber, PageSize50, RegionId
from kiln.store.conditions import Condition
from kiln.store.instances import NEWEST, instances


@shape
class Input:
    region_id: RegionId
    instance_ids: Annotated[
        tuple[InstanceId, ...] | None,
        JsonList(InvalidInstanceIdsMalformed),
        Count(MOST, InvalidInstanceIdsMalformed),
        Example('["i-bp1g6zv0ce8oghu7k2d3"]'),
        Doc("Only these instances, up to 100. Needed without RamRoleName."),
    ] = None
    ram_role_name: Annotated[
        str | None, Example("build"), Doc("Only instances that have this role. Needed without InstanceIds.")
    ] = None
    page_number: PageNumber | None = None
    page_size: PageSize50 | None = None


@shape
class Output:
    region_id: RegionId
    total_count: Annotated[int, Doc("How many there are on all pages.")]
    instance_ram_role_sets: Annotated[RolesOutput, Doc("The instances of this page, with their roles.")]


def check(call: Call, p: Input) -> Output:
    if p.instance_ids is None and p.ram_role_name is None:
        raise MissingParameter(parameter="InstanceIds")
    conditions: list[Condition] = []
    if p.instance_ids is not None:
        for one in p.instance_ids:
            call.the(instances, one, p.region_id, InvalidInstanceIdNotFound)
        conditions.append(instances.c.id.in_(p.instance_ids))
    if p.ram_role_name is not None:
        conditions.append(instances.c.ram_role == p.ram_role_name)
    found = page(call, p, instances, NEWEST, conditions, most=50, account=call.account, region=p.region_id)
    told = tuple(RoleOutput(instance_id=row.id, ram_role_name=row.ram_role) for row in found.rows)
    return Output(
        region_id=p.region_id,
        total_count=found.total,
        instance_ram_role_sets=RolesOutput(instance_ram_role_set=told),
    )


describe_instance_ram_role = Operation(
    input=Input,
    output=Output,
    check=check,
    errors=(MissingParameter, InvalidInstanceIdsMalformed, InvalidInstanceIdNotFound),
)
