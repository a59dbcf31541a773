"""Tell what becomes of instances when something befalls their host, in the order of DescribeInstances.

IDs that are unknown, or another account's, are passed over. Nobody can choose
here: what a lost host ran is Stopped, and started by whoever wants it to run.
"""

from __future__ import annotations

from typing import Annotated

from kiln.calls.call import Call
from kiln.declare.operation import Operation
from kiln.declare.rules import Count, Doc
from kiln.declare.shapes import shape
from kiln.operations.errors.instances import InvalidParameterTooManyInstanceIds
from kiln.operations.paging import page
from kiln.operations.params import InstanceId, PageNumber, PageSize100, RegionId
from kiln.store.instances import NEWEST, instances

_ACTION = "Stop"


@shape
class Input:
    region_id: RegionId
    instance_id: Annotated[
        tuple[InstanceId, ...] | None,
        Count(100, InvalidParameterTooManyInstanceIds),
        Doc("The instances; all of them when not given."),
    ] = None
    page_number: PageNumber = 1
    page_size: PageSize100 = 10


@shape
class WindowOutput:
    """A time of the day in which hosts may be cared for."""

    start_time: Annotated[str, Doc("From when on, HH:mm:ss.")]
    end_time: Annotated[str, Doc("Until when, HH:mm:ss.")]


@shape
class WindowsOutput:
    """Times of the day."""

    maintenance_window: Annotated[tuple[WindowOutput, ...], Doc("None: an operator drains a host at any time.")]


@shape
class ActionsOutput:
    """Actions."""

    supported_value: Annotated[tuple[str, ...], Doc("Stop, and no other.")]


@shape
class ActionOutput:
    """What becomes of an instance."""

    value: Annotated[str, Doc("Stop: it is Stopped when its host is lost, and its bytes are kept.")]
    default_value: Annotated[str, Doc("Stop.")]
    supported_values: Annotated[ActionsOutput, Doc("What may be chosen.")]


@shape
class AttributeOutput:
    """What becomes of one instance."""

    instance_id: InstanceId
    action_on_maintenance: Annotated[ActionOutput, Doc("What becomes of it when its host is lost.")]
    maintenance_windows: Annotated[WindowsOutput, Doc("When its host may be cared for.")]
    notify_on_maintenance: Annotated[bool, Doc("False: nobody is told before a host is drained.")]


@shape
class AttributesOutput:
    """What becomes of instances."""

    maintenance_attribute: Annotated[tuple[AttributeOutput, ...], Doc("The instances of this page.")]


@shape
class Output:
    maintenance_attributes: Annotated[AttributesOutput, Doc("What becomes of the instances.")]
    total_count: Annotated[int, Doc("How many instances there are on all pages.")]
    page_number: Annotated[int, Doc("The page.")]
    page_size: Annotated[int, Doc("Rows a page.")]


def check(call: Call, p: Input) -> Output:
    wanted = [instances.c.account == call.account, instances.c.region == p.region_id]
    if p.instance_id is not None:
        wanted.append(instances.c.id.in_(p.instance_id))
    found = page(call, p, instances, NEWEST, wanted)
    return Output(
        maintenance_attributes=AttributesOutput(maintenance_attribute=tuple(_attribute(one.id) for one in found.rows)),
        total_count=found.total,
        page_number=found.number,
        page_size=found.size,
    )


def _attribute(instance: str) -> AttributeOutput:
    return AttributeOutput(
        instance_id=instance,
        action_on_maintenance=ActionOutput(
            value=_ACTION, default_value=_ACTION, supported_values=ActionsOutput(supported_value=(_ACTION,))
        ),
        maintenance_windows=WindowsOutput(maintenance_window=()),
        notify_on_maintenance=False,
    )


describe_instance_maintenance_attributes = Operation(
    input=Input,
    output=Output,
    check=check,
    errors=(),
)
