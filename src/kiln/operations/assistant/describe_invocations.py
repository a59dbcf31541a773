"""List what commands were run, the newest first, with how each went on its instances.

InvocationStatus tells of all instances together: Pending, Running or Stopping
while something is left to do; then Success, Failed, PartialFailed or Stopped.
What was asked for is told of for 30 days.
"""

from __future__ import annotations

from typing import Annotated

from kiln.calls.call import Call
from kiln.declare.operation import Operation
from kiln.declare.rules import Composed, Count, Doc, Example, OneOf
from kiln.declare.shapes import shape
from kiln.ground.clock import to_seconds_text
from kiln.operations.assistant.parts.portrait import InvokeInstancesOutput, draw_instances, invoke_status
from kiln.operations.assistant.parts.words import (
    BASE64,
    AnswerEncoding,
    CommandId,
    CommandType,
    InvocationStatusFilter,
    InvokeId,
    encoded,
)
from kiln.operations.errors.tags import InvalidTagCount
from kiln.operations.filters import InvalidTagMismatch, TagFilter, by_tags
from kiln.operations.paging import page
from kiln.operations.params import (
    InstanceId,
    NextToken,
    PageNumber,
    PageSize50,
    RegionId,
    ResourceGroupId,
    TagsOutput,
    draw_tags,
)
from kiln.store import tags
from kiln.store.conditions import NOTHING, Condition, fits
from kiln.store.invocations import (
    COMMAND,
    NEWEST,
    Invocation,
    InvocationResult,
    in_status,
    invocations,
    on_instance,
    results_of,
)
from kiln.store.tags import Tag

_MODES = ("Once", "Period", "NextRebootOnly", "EveryReboot")


@shape
class Input:
    region_id: RegionId
    invoke_id: Annotated[InvokeId | None, Doc("Only this invocation.")] = None
    instance_id: Annotated[InstanceId | None, Doc("Only those on this instance.")] = None
    command_id: Annotated[CommandId | None, Doc("Only those of this command.")] = None
    command_name: Annotated[
        str | None,
        Composed(),
        Example("check-*"),
        Doc("Only those of commands of this name, in which * stands for any characters."),
    ] = None
    command_type: Annotated[CommandType | None, Doc("Only those of commands of this type.")] = None
    invoke_status: InvocationStatusFilter | None = None
    repeat_mode: Annotated[
        str | None, OneOf(_MODES), Example("Once"), Doc("Only those that run in this mode: all run Once.")
    ] = None
    timed: Annotated[bool | None, Doc("Only those that run again by themselves, of which there are none.")] = None
    include_output: Annotated[bool, Doc("Whether outputs are told, too.")] = False
    content_encoding: AnswerEncoding = BASE64
    resource_group_id: Annotated[ResourceGroupId | None, Doc("Only those in this resource group.")] = None
    tag: Annotated[
        tuple[TagFilter, ...] | None, Count(20, InvalidTagCount), Doc("Only those with all of these tags.")
    ] = None
    page_number: PageNumber | None = None
    page_size: PageSize50 | None = None
    max_results: Annotated[int | None, Example("10"), Doc("Rows an answer, when paging by NextToken: 1 to 50.")] = None
    next_token: NextToken | None = None


@shape
class InvocationOutput:
    """One invocation."""

    invoke_id: InvokeId
    command_id: CommandId
    command_name: Annotated[str, Example("check-disk"), Doc("The command's name.")]
    command_description: Annotated[str, Doc("The command's description.")]
    command_type: Annotated[str, Example("RunShellScript"), Doc("The command's type.")]
    command_content: Annotated[str, Example("ZGYgLWg="), Doc("Its content, as ContentEncoding asks for it.")]
    parameters: Annotated[str, Example('{"name": "Jack"}'), Doc("The parameters, as JSON; keys are in lower case.")]
    invocation_status: Annotated[str, Example("Success"), Doc("How it goes on all instances.")]
    invoke_status: Annotated[str, Example("Finished"), Doc("The same in older words.")]
    repeat_mode: Annotated[str, Doc("Once.")]
    timed: Annotated[bool, Doc("Always false.")]
    frequency: Annotated[str, Doc("Empty: there are no schedules.")]
    timeout: Annotated[int, Example("60"), Doc("Seconds after which it is killed.")]
    working_dir: Annotated[str, Doc("Where it begins in the guest; empty: in the home of the user.")]
    username: Annotated[str, Example("root"), Doc("The user in the guest who runs it.")]
    creation_time: Annotated[str, Example("2026-11-23T06:07:04Z"), Doc("When it was asked for, in UTC.")]
    invoke_instances: Annotated[InvokeInstancesOutput, Doc("How it goes on each instance.")]
    tags: Annotated[TagsOutput, Doc("The tags.")]


@shape
class InvocationsOutput:
    """Invocations."""

    invocation: Annotated[tuple[InvocationOutput, ...], Doc("The invocations of this page.")]


@shape
class Output:
    invocations: Annotated[InvocationsOutput, Doc("The invocations.")]
    total_count: Annotated[int, Doc("Invocations that meet the filters.")]
    page_number: Annotated[int, Doc("The page.")]
    page_size: Annotated[int, Doc("Rows a page.")]
    next_token: Annotated[str, Doc("To be sent for the next page; empty on the last one.")]


def check(call: Call, p: Input) -> Output:
    found = page(
        call, p, invocations, NEWEST, _conditions(p), most=50, account=call.account, region=p.region_id, kind=COMMAND
    )
    names = [row.id for row in found.rows]
    rows, tagged = results_of(call.tx, names), tags.of(call.tx, "invocation", names)
    drawn = tuple(_draw(p, row, rows[row.id], tagged[row.id]) for row in found.rows)
    return Output(
        invocations=InvocationsOutput(invocation=drawn),
        total_count=found.total,
        page_number=found.number,
        page_size=found.size,
        next_token=found.next_token,
    )


def _conditions(p: Input) -> list[Condition]:
    c = invocations.c
    conditions = by_tags("invocation", invocations, p.tag)
    exact = ((c.id, p.invoke_id), (c.command, p.command_id), (c.type, p.command_type))
    conditions += [column == value for column, value in exact if value is not None]
    if p.instance_id is not None:
        conditions.append(on_instance(p.instance_id))
    if p.command_name is not None:
        conditions.append(fits(c.name, p.command_name))
    if p.resource_group_id is not None:
        conditions.append(c.resource_group == p.resource_group_id)
    if p.invoke_status is not None:
        conditions.append(in_status(p.invoke_status))
    if p.timed or p.repeat_mode not in (None, "Once"):
        conditions.append(NOTHING)
    return conditions


def _draw(p: Input, row: Invocation, rows: list[InvocationResult], own: list[Tag]) -> InvocationOutput:
    return InvocationOutput(
        invoke_id=row.id,
        command_id=row.command,
        command_name=row.name,
        command_description=row.description,
        command_type=row.type,
        command_content=encoded(row.content, p.content_encoding),
        parameters=row.parameters or "{}",
        invocation_status=row.status,
        invoke_status=invoke_status(row.status, rows),
        repeat_mode="Once",
        timed=False,
        frequency="",
        timeout=row.timeout_s,
        working_dir=row.working_dir,
        username=row.username or "root",
        creation_time=to_seconds_text(row.created_at),
        invoke_instances=draw_instances(rows, p.content_encoding, shows_output=p.include_output),
        tags=draw_tags(own),
    )


describe_invocations = Operation(
    input=Input,
    output=Output,
    check=check,
    errors=(InvalidTagMismatch,),
)
