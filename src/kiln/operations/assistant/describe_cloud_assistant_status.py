"""Tell in which running instances commands can be run: whose guests have QEMU's guest agent, and it answers.

Each guest is asked at that moment, for three seconds at most; one that was silent
is not waited for again for some seconds, and what one said counts for as many.
CloudAssistantStatus is false where none answers, or where it may not run
commands; then version and heartbeat are empty. Of the instances that are not
named, the newest come first.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Annotated, Any

from kiln.calls.agents import Told
from kiln.calls.call import Call
from kiln.calls.elsewhere import together
from kiln.calls.errors import ServiceUnavailableHostSilent
from kiln.declare.operation import Operation
from kiln.declare.rules import Count, Doc, Example, OneOf, Unordered, Wire
from kiln.declare.shapes import shape
from kiln.ground.clock import to_seconds_text
from kiln.operations.errors.instances import InstanceIdsExceedLimit
from kiln.operations.filters import by_nothing
from kiln.operations.paging import DEFAULT_SIZE, Page, page
from kiln.operations.params import InstanceId, NextToken, PageNumber, PageSize50, RegionId
from kiln.store import instances as instance_rows
from kiln.store import invocations
from kiln.store.conditions import Condition
from kiln.store.instances import Instance, instances

_MOST = 100


@shape
class Input:
    region_id: RegionId
    instance_id: Annotated[
        tuple[InstanceId, ...] | None,
        Unordered(),
        Count(_MOST, InstanceIdsExceedLimit),
        Doc("Only these instances; up to 100. One that is not there is not in the answer."),
    ] = None
    os_type: Annotated[
        str | None, Wire("OSType"), OneOf(("Windows", "Linux", "FreeBSD"), any_case=True), Doc("Only of this system.")
    ] = None
    page_number: PageNumber | None = None
    page_size: PageSize50 | None = None
    max_results: Annotated[
        int | None,
        Example("10"),
        Doc("Rows an answer, when paging by NextToken: 1 to 50. Not heeded beside InstanceId: all of these are told."),
    ] = None
    next_token: NextToken | None = None


@shape
class StatusOutput:
    """Whether commands can be run in one instance."""

    instance_id: InstanceId
    cloud_assistant_status: Annotated[str, Example("true"), Doc("true or false.")]
    cloud_assistant_version: Annotated[str, Example("7.2.22"), Doc("The version of QEMU's guest agent.")]
    last_heartbeat_time: Annotated[str, Example("2026-11-23T06:07:05Z"), Doc("When it answered, in UTC.")]
    last_invoked_time: Annotated[str, Doc("When something was asked of it last, in UTC; empty for never.")]
    invocation_count: Annotated[int, Example("0"), Doc("How much was asked of it, as far as it is told of.")]
    active_task_count: Annotated[int, Example("0"), Doc("How much of that is still to be done.")]
    os_type: Annotated[str, Wire("OSType"), Example("Linux"), Doc("Linux or Windows.")]
    support_session_manager: Annotated[bool, Doc("Always true: a terminal session takes no agent.")]


@shape
class StatusSetOutput:
    """Instances."""

    instance_cloud_assistant_status: Annotated[tuple[StatusOutput, ...], Doc("Of each instance of this page.")]


@shape
class Output:
    instance_cloud_assistant_status_set: Annotated[StatusSetOutput, Doc("The instances.")]
    total_count: Annotated[int, Doc("Instances that meet the filters.")]
    page_number: Annotated[int, Doc("The page.")]
    page_size: Annotated[int, Doc("Rows a page.")]
    next_token: Annotated[str, Doc("To be sent for the next page; empty on the last one.")]


def inquire(call: Call, p: Input) -> Future[Any] | None:
    ports, rows = call.ports, _found(call, p).rows
    here = [row.id for row in rows if ports.elsewhere.is_here(row.host)]
    asked = ports.agents.ask(ports.machines, ports.clock, here)
    if len(here) == len(rows):
        return asked
    elsewhere: defaultdict[str, list[str]] = defaultdict(list)
    for row in rows:
        if not ports.elsewhere.is_here(row.host):
            elsewhere[row.host].append(row.id)
    others = [ports.elsewhere.agents(call.tx, host, ids) for host, ids in elsewhere.items()]
    return together(others if asked is None else [*others, asked])


def check(call: Call, p: Input) -> Output:
    found = _found(call, p)
    told = _told(call, found.rows)
    drawn = tuple(_draw(call, row, told.get(row.id)) for row in found.rows)
    return Output(
        instance_cloud_assistant_status_set=StatusSetOutput(instance_cloud_assistant_status=drawn),
        total_count=found.total,
        page_number=found.number,
        page_size=found.size,
        next_token=found.next_token,
    )


def _found(call: Call, p: Input) -> Page[Instance]:
    # Who names instances hears of all of them at once, as documented of MaxResults.
    named = len(p.instance_id or ())
    least, most, default = (named, named, named) if named else (1, 50, DEFAULT_SIZE)
    order, where = instance_rows.NEWEST, _conditions(p)
    owned = {"account": call.account, "region": p.region_id}
    return page(call, p, instances, order, where, least=least, most=most, default=default, **owned)


def _told(call: Call, rows: Sequence[Instance]) -> dict[str, Told]:
    """What the agents of these instances said just now; one of another host that has moved meanwhile said nothing."""
    ports = call.ports
    told = {row.id: said for row in rows if (said := ports.agents.known(row.id)) is not None}
    if any(not ports.elsewhere.is_here(row.host) for row in rows):
        for part in call.heard() or ():
            told.update(part or {})
    return told


def _conditions(p: Input) -> list[Condition]:
    conditions = by_nothing(p.instance_id)
    if p.instance_id:
        conditions.append(instances.c.id.in_(p.instance_id))
    if p.os_type is not None:
        conditions.append(instances.c.os_type == p.os_type.lower())
    return conditions


def _draw(call: Call, row: Instance, told: Told | None) -> StatusOutput:
    counts = invocations.activity(call.tx, row.id)
    return StatusOutput(
        instance_id=row.id,
        cloud_assistant_status="true" if told is not None and told.agent.runs_commands else "false",
        cloud_assistant_version="" if told is None else told.agent.version,
        last_heartbeat_time="" if told is None else to_seconds_text(told.at),
        last_invoked_time="" if counts.last_at is None else to_seconds_text(counts.last_at),
        invocation_count=counts.total,
        active_task_count=counts.open,
        os_type="Windows" if row.system.os_type == "windows" else "Linux",
        support_session_manager=True,
    )


describe_cloud_assistant_status = Operation(
    input=Input,
    output=Output,
    inquire=inquire,
    check=check,
    errors=(ServiceUnavailableHostSilent,),
)
