"""Show one import or export: how far it is, what it reads or writes, and why it failed."""

from __future__ import annotations

from typing import Annotated

from kiln.calls.call import Call
from kiln.declare.operation import Operation
from kiln.declare.rules import Doc, Example, Missing
from kiln.declare.shapes import shape
from kiln.declare.states import TaskStatus
from kiln.ground.clock import to_minutes_text
from kiln.operations.errors.regions import InvalidRegionIdNotFoundOfTasks
from kiln.operations.errors.tasks import MissingParameterOfTasks
from kiln.operations.params import RegionId, TaskId
from kiln.operations.steps import transfer
from kiln.operations.tasks.parts.errors import InvalidTaskIdNotFound
from kiln.store.tasks import Task

_OUTCOMES: dict[str, str] = {
    TaskStatus.PROCESSING: "Processing",
    TaskStatus.FINISHED: "Success",
    TaskStatus.FAILED: "Failed",
}


@shape
class Input:
    region_id: Annotated[RegionId, Missing(MissingParameterOfTasks)]
    task_id: Annotated[TaskId, Missing(MissingParameterOfTasks)]


@shape
class RelatedItem:
    """One thing that an operation of the task is about."""

    name: Annotated[str, Example("OSSObject"), Doc("What it is: OSSObject, or QueuePosition while it is Waiting.")]
    value: Annotated[
        str,
        Doc("The object that is read or written; or how many of the account's waiting tasks begin before it, with it."),
    ]


@shape
class RelatedItems:
    """What an operation of the task is about."""

    related_item: Annotated[tuple[RelatedItem, ...], Doc("The things.")]


@shape
class OperationProgress:
    """One operation of the task: one disk that is read or written."""

    error_code: Annotated[str, Doc("Why it failed; empty when it did not.")]
    error_msg: Annotated[str, Doc("The same in words.")]
    operation_status: Annotated[str, Doc("Waiting, Processing, Success or Failed.")]
    related_item_set: Annotated[RelatedItems, Doc("What it is about.")]


@shape
class OperationProgresses:
    """The operations of the task."""

    operation_progress: Annotated[tuple[OperationProgress, ...], Doc("The operations, the system disk's first.")]


@shape
class Output:
    creation_time: Annotated[str, Example("2026-11-23T06:07Z"), Doc("When it was asked for.")]
    failed_count: Annotated[int, Doc("Disks that failed.")]
    finished_time: Annotated[str, Example("2026-11-23T06:09Z"), Doc("When it ended; empty while it is Processing.")]
    operation_progress_set: Annotated[OperationProgresses, Doc("The operations.")]
    region_id: RegionId
    success_count: Annotated[int, Doc("Disks that are done.")]
    support_cancel: Annotated[str, Doc("true or false: whether CancelTask can end it now.")]
    task_action: Annotated[str, Doc("ImportImage or ExportImage.")]
    task_id: TaskId
    task_process: Annotated[str, Example("37%"), Doc("How much of it is done.")]
    task_status: Annotated[
        str,
        Doc("Waiting for its turn, Processing, Finished or Failed; a task that was cancelled is Failed."),
    ]
    total_count: Annotated[int, Doc("Disks in all. They succeed together or fail together.")]


def check(call: Call, p: Input) -> Output:
    task = transfer.find_task(call, p.region_id, p.task_id)
    if task is None:
        raise InvalidTaskIdNotFound(task_id=p.task_id)
    objects = transfer.objects_of(task)
    status, place = transfer.say_status(call, task)
    return Output(
        creation_time=to_minutes_text(task.created_at),
        failed_count=len(objects) if task.status == TaskStatus.FAILED else 0,
        finished_time="" if task.finished_at is None else to_minutes_text(task.finished_at),
        operation_progress_set=OperationProgresses(
            operation_progress=tuple(_draw(task, name, place) for name in objects)
        ),
        region_id=task.region,
        success_count=len(objects) if task.status == TaskStatus.FINISHED else 0,
        support_cancel=transfer.say_support_cancel(task),
        task_action=task.action,
        task_id=task.id,
        task_process=f"{task.progress}%",
        task_status=status,
        total_count=len(objects),
    )


def _draw(task: Task, name: str, place: int) -> OperationProgress:
    has_failed = task.status not in (TaskStatus.PROCESSING, TaskStatus.FINISHED)
    items = [RelatedItem(name="OSSObject", value=name)]
    if place:
        items.append(RelatedItem(name="QueuePosition", value=str(place)))
    return OperationProgress(
        error_code=task.error_code if has_failed else "",
        error_msg=task.error_message if has_failed else "",
        operation_status="Waiting" if place else _OUTCOMES.get(task.status, _OUTCOMES[TaskStatus.FAILED]),
        related_item_set=RelatedItems(related_item=tuple(items)),
    )


describe_task_attribute = Operation(
    input=Input,
    output=Output,
    check=check,
    unknown_region=InvalidRegionIdNotFoundOfTasks,
    errors=(InvalidTaskIdNotFound,),
)
