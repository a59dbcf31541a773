"""List the status of instances, in the order of DescribeInstances.

IDs that are unknown, or another account's, are passed over.
"""

from __future__ import annotations

from typing import Annotated

from kiln.calls.call import Call
from kiln.declare.operation import Operation
from kiln.declare.rules import Accepted, Count, Doc
from kiln.declare.shapes import shape
from kiln.operations.errors.instances import InvalidParameterTooManyInstanceIds
from kiln.operations.errors.regions import InvalidZoneIdNotFound
from kiln.operations.paging import page
from kiln.operations.params import InstanceId, PageNumber, PageSize50, RegionId
from kiln.store.instances import NEWEST, instances


@shape
class Input:
    region_id: RegionId
    instance_id: Annotated[
        tuple[InstanceId, ...] | None,
        Count(100, InvalidParameterTooManyInstanceIds),
        Doc("The instances; all of them when not given."),
    ] = None
    zone_id: Annotated[str | None, Doc("The zone.")] = None
    cluster_id: Annotated[str | None, Accepted("There are no clusters."), Doc("The cluster.")] = None
    page_number: PageNumber = 1
    page_size: PageSize50 = 10


@shape
class InstanceStatusOutput:
    """One instance's status."""

    instance_id: InstanceId
    status: Annotated[str, Doc("Pending, Starting, Running, Stopping or Stopped.")]


@shape
class InstanceStatusesOutput:
    """Statuses."""

    instance_status: Annotated[tuple[InstanceStatusOutput, ...], Doc("The instances of this page.")]


@shape
class Output:
    instance_statuses: Annotated[InstanceStatusesOutput, Doc("The statuses.")]
    total_count: Annotated[int, Doc("How many instances there are on all pages.")]
    page_number: Annotated[int, Doc("The page.")]
    page_size: Annotated[int, Doc("Rows a page.")]


def check(call: Call, p: Input) -> Output:
    if p.zone_id is not None and p.zone_id not in call.deployment.zones(p.region_id):
        raise InvalidZoneIdNotFound(zone_id=p.zone_id)
    wanted = [instances.c.account == call.account, instances.c.region == p.region_id]
    if p.instance_id is not None:
        wanted.append(instances.c.id.in_(p.instance_id))
    found = page(call, p, instances, NEWEST, wanted)
    statuses = tuple(InstanceStatusOutput(instance_id=one.id, status=one.status) for one in found.rows)
    return Output(
        instance_statuses=InstanceStatusesOutput(instance_status=statuses),
        total_count=found.total,
        page_number=found.number,
        page_size=found.size,
    )


describe_instance_status = Operation(
    input=Input,
    output=Output,
    check=check,
    errors=(InvalidZoneIdNotFound,),
)
