"""List what files were sent to guests, the newest first, with how each went on its instances.

What was asked for is told of for 30 days.
"""

from __future__ import annotations

from typing import Annotated

from kiln.calls.call import Call
from kiln.declare.operation import Operation
from kiln.declare.rules import Count, Doc, Example
from kiln.declare.shapes import shape
from kiln.ground.clock import to_seconds_text
from kiln.operations.assistant.parts.portrait import ErrorCode, ErrorInfo, FinishTime, StartTime, Status, time_text
from kiln.operations.assistant.parts.words import InvocationStatusFilter, InvokeId, encoded
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
from kiln.store.conditions import Condition, fits
from kiln.store.invocations import (
    FILE,
    NEWEST,
    Invocation,
    InvocationResult,
    in_status,
    invocations,
    on_instance,
    results_of,
)
from kiln.store.tags import Tag


@shape
class Input:
    region_id: RegionId
    invoke_id: Annotated[InvokeId | None, Doc("Only this sending.")] = None
    instance_id: Annotated[InstanceId | None, Doc("Only those to this instance.")] = None
    name: Annotated[
        str | None, Example("app.*"), Doc("Only files of this name, in which * stands for any characters.")
    ] = None
    invocation_status: InvocationStatusFilter | None = None
    resource_group_id: Annotated[ResourceGroupId | None, Doc("Only those in this resource group.")] = None
    tag: Annotated[
        tuple[TagFilter, ...] | None, Count(20, InvalidTagCount), Doc("Only those with all of these tags.")
    ] = None
    page_number: PageNumber | None = None
    page_size: PageSize50 | None = None
    max_results: Annotated[int | None, Example("10"), Doc("Rows an answer, when paging by NextToken: 1 to 50.")] = None
    next_token: NextToken | None = None


@shape
class SentToOutput:
    """How a file was sent to one instance."""

    instance_id: InstanceId
    invocation_status: Status
    error_code: ErrorCode
    error_info: ErrorInfo
    creation_time: Annotated[str, Example("2026-11-23T06:07:04Z"), Doc("When it was asked for, in UTC.")]
    start_time: StartTime
    finish_time: FinishTime
    update_time: Annotated[str, Example("2026-11-23T06:07:06Z"), Doc("When this changed last, in UTC.")]


@shape
class SentToInstancesOutput:
    """Instances."""

    invoke_instance: Annotated[tuple[SentToOutput, ...], Doc("How it went on each instance.")]


@shape
class SendingOutput:
    """One file that was sent."""

    invoke_id: InvokeId
    name: Annotated[str, Example("app.conf"), Doc("The file's name.")]
    target_dir: Annotated[str, Example("/etc/app"), Doc("The folder in the guest.")]
    content: Annotated[str, Example("answer = 42"), Doc("The content, as ContentType says.")]
    content_type: Annotated[str, Example("PlainText"), Doc("How it was given: PlainText or Base64.")]
    description: Annotated[str, Doc("The description.")]
    file_owner: Annotated[str, Example("root"), Doc("The file's user.")]
    file_group: Annotated[str, Example("root"), Doc("The file's group.")]
    file_mode: Annotated[str, Example("0644"), Doc("Who may do what with it.")]
    overwrite: Annotated[str, Example("false"), Doc("Whether a file of that name was to be replaced.")]
    invocation_status: Annotated[str, Example("Success"), Doc("How it went on all instances.")]
    vm_count: Annotated[int, Example("1"), Doc("On how many instances.")]
    creation_time: Annotated[str, Example("2026-11-23T06:07:04Z"), Doc("When it was asked for, in UTC.")]
    invoke_instances: Annotated[SentToInstancesOutput, Doc("How it went on each instance.")]
    tags: Annotated[TagsOutput, Doc("The tags.")]


@shape
class SendingsOutput:
    """Files that were sent."""

    invocation: Annotated[tuple[SendingOutput, ...], Doc("The files of this page.")]


@shape
class Output:
    invocations: Annotated[SendingsOutput, Doc("The files.")]
    total_count: Annotated[int, Doc("Files that meet the filters.")]
    page_number: Annotated[int, Doc("The page.")]
    page_size: Annotated[int, Doc("Rows a page.")]
    next_token: Annotated[str, Doc("To be sent for the next page; empty on the last one.")]


def check(call: Call, p: Input) -> Output:
    found = page(
        call, p, invocations, NEWEST, _conditions(p), most=50, account=call.account, region=p.region_id, kind=FILE
    )
    names = [row.id for row in found.rows]
    rows, tagged = results_of(call.tx, names), tags.of(call.tx, "invocation", names)
    return Output(
        invocations=SendingsOutput(invocation=tuple(_draw(row, rows[row.id], tagged[row.id]) for row in found.rows)),
        total_count=found.total,
        page_number=found.number,
        page_size=found.size,
        next_token=found.next_token,
    )


def _conditions(p: Input) -> list[Condition]:
    c = invocations.c
    conditions = by_tags("invocation", invocations, p.tag)
    if p.invoke_id is not None:
        conditions.append(c.id == p.invoke_id)
    if p.instance_id is not None:
        conditions.append(on_instance(p.instance_id))
    if p.name is not None:
        conditions.append(fits(c.name, p.name, 255))
    if p.resource_group_id is not None:
        conditions.append(c.resource_group == p.resource_group_id)
    if p.invocation_status is not None:
        conditions.append(in_status(p.invocation_status))
    return conditions


def _draw(row: Invocation, rows: list[InvocationResult], own: list[Tag]) -> SendingOutput:
    return SendingOutput(
        invoke_id=row.id,
        name=row.name,
        target_dir=row.target_dir,
        content=encoded(row.content, row.content_type),
        content_type=row.content_type,
        description=row.description,
        file_owner=row.file_owner,
        file_group=row.file_group,
        file_mode=row.file_mode,
        overwrite="true" if row.overwrite else "false",
        invocation_status=row.status,
        vm_count=len(rows),
        creation_time=to_seconds_text(row.created_at),
        invoke_instances=SentToInstancesOutput(invoke_instance=tuple(_draw_one(one) for one in rows)),
        tags=draw_tags(own),
    )


def _draw_one(row: InvocationResult) -> SentToOutput:
    return SentToOutput(
        instance_id=row.instance,
        invocation_status=row.status,
        error_code=row.error_code,
        error_info=row.error_info,
        creation_time=to_seconds_text(row.created_at),
        start_time=time_text(row.started_at),
        finish_time=time_text(row.finished_at),
        update_time=to_seconds_text(row.updated_at),
    )


describe_send_file_results = Operation(
    input=Input,
    output=Output,
    check=check,
    errors=(InvalidTagMismatch,),
)
