"""Tell how commands went on each instance, the newest first; of one invocation by instance.

InvocationStatus is Pending until the command begins in the guest, then Running,
and at last Success (it ended with 0), Failed (with another code), Timeout,
Terminated (it was stopped), Cancelled (before it began), Aborted (it could not be
brought to the guest), Invalid (its user or directory is not there) or Error (it
began, and nobody knows how it ended). While it runs, its output so far is told
from time to time.

What was asked for is told of for 30 days.
"""

from __future__ import annotations

from typing import Annotated

from kiln.calls.call import Call
from kiln.declare.operation import Operation
from kiln.declare.rules import Count, Declined, Doc, Example
from kiln.declare.shapes import shape
from kiln.operations.assistant.parts.portrait import InvocationResultOutput, draw_result
from kiln.operations.assistant.parts.words import (
    BASE64,
    STATUSES,
    AnswerEncoding,
    CommandId,
    InvocationStatusFilter,
    InvokeId,
)
from kiln.operations.errors.tags import InvalidTagCount
from kiln.operations.filters import InvalidTagMismatch, TagFilter, by_tags
from kiln.operations.paging import page
from kiln.operations.params import InstanceId, NextToken, PageNumber, PageSize50, RegionId, ResourceGroupId
from kiln.store import invocations, tags
from kiln.store.conditions import Condition
from kiln.store.invocations import COMMAND, NEWEST_RESULTS, results


@shape
class Input:
    region_id: RegionId
    invoke_id: Annotated[InvokeId | None, Doc("Only of this invocation.")] = None
    instance_id: Annotated[InstanceId | None, Doc("Only on this instance.")] = None
    command_id: Annotated[CommandId | None, Doc("Only of this command.")] = None
    invoke_record_status: InvocationStatusFilter | None = None
    include_history: Annotated[
        bool | None, Declined("no schedule is kept, so that nothing has a history"), Doc("Of schedules all runs.")
    ] = None
    content_encoding: AnswerEncoding = BASE64
    resource_group_id: Annotated[ResourceGroupId | None, Doc("Only of invocations in this resource group.")] = None
    tag: Annotated[
        tuple[TagFilter, ...] | None, Count(20, InvalidTagCount), Doc("Only of invocations with all of these tags.")
    ] = None
    page_number: PageNumber | None = None
    page_size: PageSize50 | None = None
    max_results: Annotated[int | None, Example("10"), Doc("Rows an answer, when paging by NextToken: 1 to 50.")] = None
    next_token: NextToken | None = None


@shape
class InvocationResultsOutput:
    """Results."""

    invocation_result: Annotated[tuple[InvocationResultOutput, ...], Doc("The results of this page.")]


@shape
class InvocationOutput:
    """Results, and where they stand in the list."""

    invocation_results: Annotated[InvocationResultsOutput, Doc("The results.")]
    total_count: Annotated[int, Doc("Results that meet the filters.")]
    page_number: Annotated[int, Doc("The page.")]
    page_size: Annotated[int, Doc("Rows a page.")]
    next_token: Annotated[str, Doc("To be sent for the next page; empty on the last one.")]


@shape
class Output:
    invocation: Annotated[InvocationOutput, Doc("The results.")]


def check(call: Call, p: Input) -> Output:
    found = page(
        call,
        p,
        results,
        NEWEST_RESULTS,
        _conditions(p),
        most=50,
        account=call.account,
        region=p.region_id,
        kind=COMMAND,
    )
    names = list(dict.fromkeys(row.invocation for row in found.rows))
    whole = {one.id: one for one in invocations.invocations.among(call.tx, "id", names)}
    tagged = tags.of(call.tx, "invocation", names)
    drawn = tuple(
        draw_result(row, whole[row.invocation], tagged[row.invocation], p.content_encoding) for row in found.rows
    )
    return Output(
        invocation=InvocationOutput(
            invocation_results=InvocationResultsOutput(invocation_result=drawn),
            total_count=found.total,
            page_number=found.number,
            page_size=found.size,
            next_token=found.next_token,
        )
    )


def _conditions(p: Input) -> list[Condition]:
    c = results.c
    tagged = by_tags("invocation", invocations.invocations, p.tag)
    conditions = [invocations.among_these(c.invocation, tagged)] if tagged else []
    if p.resource_group_id is not None:
        of_group = [invocations.invocations.c.resource_group == p.resource_group_id]
        conditions.append(invocations.among_these(c.invocation, of_group))
    if p.invoke_id is not None:
        conditions.append(c.invocation == p.invoke_id)
    if p.instance_id is not None:
        conditions.append(c.instance == p.instance_id)
    if p.command_id is not None:
        conditions.append(c.command == p.command_id)
    if p.invoke_record_status is not None:
        conditions.append(c.status.in_(STATUSES[p.invoke_record_status]))
    return conditions


describe_invocation_results = Operation(
    input=Input,
    output=Output,
    check=check,
    errors=(InvalidTagMismatch,),
)
