"""How what was done in guests looks in an answer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated

from kiln.declare.rules import Doc, Example
from kiln.declare.shapes import shape
from kiln.ground.clock import to_seconds_text
from kiln.operations.assistant.parts.words import CommandId, InvokeId, encoded, record_status
from kiln.operations.params import InstanceId, TagsOutput, draw_tags
from kiln.store.invocations import Invocation, InvocationResult
from kiln.store.tags import Tag

StartTime = Annotated[str, Example("2026-11-23T06:07:05Z"), Doc("When it began in the guest, in UTC; empty before.")]
FinishTime = Annotated[
    str, Example("2026-11-23T06:07:06Z"), Doc("When Kiln learnt that it had ended, in UTC; empty before.")
]
StopTime = Annotated[str, Doc("When StopInvocation was called for it, in UTC; empty when it was not.")]
Status = Annotated[str, Example("Success"), Doc("How it goes on the instance.")]
RecordStatus = Annotated[
    str, Example("Finished"), Doc("The same in older words: Running, Finished, Failed, Stopping or Stopped.")
]
ExitCode = Annotated[
    int | None, Example("0"), Doc("With what the command ended. Absent when it did not end by itself.")
]
ErrorCode = Annotated[str, Doc("Why it is not well; empty when it is.")]
ErrorInfo = Annotated[str, Doc("The same in words.")]
Dropped = Annotated[int, Example("0"), Doc("Bytes in the middle of the output that are not kept.")]
Repeats = Annotated[int, Example("1"), Doc("How many times it ran: 0 or 1.")]


@shape
class InvocationResultOutput:
    """How a command went on one instance."""

    command_id: CommandId
    invoke_id: InvokeId
    instance_id: InstanceId
    invocation_status: Status
    invoke_record_status: RecordStatus
    exit_code: ExitCode = None
    output: Annotated[str, Example("b2sK"), Doc("What it printed, as ContentEncoding asks for it.")]
    dropped: Dropped
    error_code: ErrorCode
    error_info: ErrorInfo
    start_time: StartTime
    finished_time: FinishTime
    stop_time: StopTime
    repeats: Repeats
    username: Annotated[str, Example("root"), Doc("The user in the guest who ran it.")]
    tags: Annotated[TagsOutput, Doc("The tags of the invocation.")]


@shape
class InvokeInstanceOutput:
    """How an invocation goes on one instance."""

    instance_id: InstanceId
    invocation_status: Status
    instance_invoke_status: RecordStatus
    exit_code: ExitCode = None
    output: Annotated[str, Doc("What it printed, where IncludeOutput asks for it.")]
    dropped: Dropped
    error_code: ErrorCode
    error_info: ErrorInfo
    creation_time: Annotated[str, Example("2026-11-23T06:07:04Z"), Doc("When it was asked for, in UTC.")]
    start_time: StartTime
    finish_time: FinishTime
    stop_time: StopTime
    update_time: Annotated[str, Example("2026-11-23T06:07:06Z"), Doc("When this changed last, in UTC.")]
    repeats: Repeats
    timed: Annotated[bool, Doc("Always false: there are no schedules.")]


@shape
class InvokeInstancesOutput:
    """Instances."""

    invoke_instance: Annotated[tuple[InvokeInstanceOutput, ...], Doc("How it goes on each instance.")]


def draw_result(
    row: InvocationResult, invocation: Invocation, own: Iterable[Tag], encoding: str
) -> InvocationResultOutput:
    """As DescribeInvocationResults shows it."""
    return InvocationResultOutput(
        command_id=row.command,
        invoke_id=row.invocation,
        instance_id=row.instance,
        invocation_status=row.status,
        invoke_record_status=record_status(row.status),
        exit_code=row.exit_code,
        output=encoded(row.output, encoding),
        dropped=row.dropped,
        error_code=row.error_code,
        error_info=row.error_info,
        start_time=time_text(row.started_at),
        finished_time=time_text(row.finished_at),
        stop_time=time_text(row.stopped_at),
        repeats=0 if row.started_at is None else 1,
        username=invocation.username or "root",
        tags=draw_tags(own),
    )


def draw_instances(rows: Sequence[InvocationResult], encoding: str, *, shows_output: bool) -> InvokeInstancesOutput:
    """As DescribeInvocations shows the instances of an invocation."""
    return InvokeInstancesOutput(
        invoke_instance=tuple(
            InvokeInstanceOutput(
                instance_id=row.instance,
                invocation_status=row.status,
                instance_invoke_status=record_status(row.status),
                exit_code=row.exit_code,
                output=encoded(row.output, encoding) if shows_output else "",
                dropped=row.dropped,
                error_code=row.error_code,
                error_info=row.error_info,
                creation_time=to_seconds_text(row.created_at),
                start_time=time_text(row.started_at),
                finish_time=time_text(row.finished_at),
                stop_time=time_text(row.stopped_at),
                update_time=to_seconds_text(row.updated_at),
                repeats=0 if row.started_at is None else 1,
                timed=False,
            )
            for row in rows
        )
    )


def invoke_status(status: str, rows: Iterable[InvocationResult]) -> str:
    """The older word for how an invocation goes on all its instances (DescribeInvocations, InvokeStatus)."""
    if status in ("Pending", "Running"):
        return "Running"
    if status == "Success":
        return "Finished"
    if status == "Failed":
        return "Finished" if any(record_status(row.status) == "Finished" for row in rows) else "Failed"
    return status


def time_text(moment: float | None) -> str:
    """A moment, as answers tell it; empty for none."""
    return "" if moment is None else to_seconds_text(moment)
