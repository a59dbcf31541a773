"""Move a resource into another resource group. What belongs to it, such as an instance's disks, stays where it is."""

from __future__ import annotations

from typing import Annotated

from kiln.calls.call import Call
from kiln.declare.operation import Operation
from kiln.declare.rules import Doc, Example, OneOf
from kiln.declare.shapes import shape
from kiln.ground.values import dataclass
from kiln.operations.errors.tags import InvalidResourceIdNotFoundOfOne, InvalidResourceTypeNotFound
from kiln.operations.params import NothingMore, RegionId, ResourceGroupId
from kiln.operations.steps import resource_groups
from kiln.operations.steps.resource_groups import InvalidResourceGroupNotFound
from kiln.store.resources import MOVED, owned


@shape
class Input:
    region_id: RegionId
    resource_type: Annotated[
        str,
        OneOf(tuple(MOVED), InvalidResourceTypeNotFound),
        Example("instance"),
        Doc("What the resource is; the case counts."),
    ]
    resource_id: Annotated[str, Example("i-bp1g6zv0ce8oghu7k2d3"), Doc("The resource: its ID, of a key pair its name.")]
    resource_group_id: Annotated[ResourceGroupId, Doc("The group that it is to be in.")]


@dataclass(frozen=True, kw_only=True)
class Plan:
    kind: str
    resource: str
    group: str


def check(call: Call, p: Input) -> Plan:
    resource_groups.check_there(call, p.resource_group_id)
    found = owned(call.tx, p.resource_type, call.account, p.region_id, [p.resource_id])
    if p.resource_id not in found:
        raise InvalidResourceIdNotFoundOfOne(resource_id=p.resource_id)
    return Plan(kind=p.resource_type, resource=found[p.resource_id], group=p.resource_group_id)


def commit(call: Call, plan: Plan) -> NothingMore:
    MOVED[plan.kind].update(call.tx, {"resource_group": plan.group}, id=plan.resource)
    return NothingMore()


join_resource_group = Operation(
    input=Input,
    output=NothingMore,
    check=check,
    commit=commit,
    errors=(InvalidResourceGroupNotFound, InvalidResourceIdNotFoundOfOne),
)
