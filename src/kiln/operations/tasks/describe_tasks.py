"""List the imports and exports of images, newest first.

All filters that are sent must hold. A task ID that is unknown, or another
account's, is no error: it is not in the answer.
"""

from __future__ import annotations

from typing import Annotated

from kiln.calls.call import Call
from kiln.declare.errors import InvalidParameter
from kiln.declare.operation import Operation
from kiln.declare.rules import Accepted, CommaList, Count, Doc, Example, Missing
from kiln.declare.shapes import shape
from kiln.declare.states import TaskStatus
from kiln.ground.clock import span_of, to_minutes_text
from kiln.operations.errors.regions import InvalidRegionIdNotFoundOfTasks
from kiln.operations.errors.tasks import MissingParameterOfTasks
from kiln.operations.paging import page
from kiln.operations.params import PageNumber, PageSize100, RegionId, TaskId
from kiln.operations.steps import transfer
from kiln.store.conditions import Condition
from kiln.store.tasks import NEWEST, Task, tasks


@shape
class Input:
    region_id: Annotated[RegionId, Missing(MissingParameterOfTasks)]
    task_ids: Annotated[tuple[TaskId, ...] | None, CommaList(), Count(100), Doc("Only these tasks.")] = None
    task_action: Annotated[
        str | None, Example("ImportImage"), Doc("ImportImage or ExportImage; there are no tasks of other actions.")
    ] = None
    task_status: Annotated[
        str | None,
        Doc("Processing (those that are Waiting too), Finished or Failed. Any other value is as good as none."),
    ] = None
    start_time: Annotated[
        str | None, Example("2026-11-23T06:07:05Z"), Doc("Tasks that were created then or later.")
    ] = None
    end_time: Annotated[
        str | None,
        Example("2026-11-23T07:07:05Z"),
        Doc("Tasks that were created then or earlier; the minute or second that is named is taken in whole."),
    ] = None
    resource_ids: Annotated[
        tuple[str, ...] | None, Count(100), Example("m-bp146shijn7hujku8a5c"), Doc("The images that the tasks work on.")
    ] = None
    task_group_id: Annotated[str | None, Accepted("There are no task groups."), Doc("A group of tasks.")] = None
    page_number: PageNumber = 1
    page_size: PageSize100 = 10


@shape
class TaskOutput:
    """One task."""

    creation_time: Annotated[str, Example("2026-11-23T06:07Z"), Doc("When it was asked for.")]
    finished_time: Annotated[str, Example("2026-11-23T06:09Z"), Doc("When it ended; empty while it is Processing.")]
    resource_id: Annotated[str, Doc("The image.")]
    support_cancel: Annotated[str, Doc("true or false: whether CancelTask can end it now.")]
    task_action: Annotated[str, Doc("ImportImage or ExportImage.")]
    task_id: TaskId
    task_status: Annotated[
        str,
        Doc("Waiting for its turn, Processing, Finished or Failed; a task that was cancelled is Failed."),
    ]


@shape
class TasksOutput:
    """Tasks."""

    task: Annotated[tuple[TaskOutput, ...], Doc("The tasks of this page.")]


@shape
class Output:
    page_number: Annotated[int, Doc("The page.")]
    page_size: Annotated[int, Doc("Rows a page.")]
    region_id: RegionId
    task_set: Annotated[TasksOutput, Doc("The tasks.")]
    total_count: Annotated[int, Doc("How many tasks there are on all pages.")]


def check(call: Call, p: Input) -> Output:
    found = page(
        call,
        p,
        tasks,
        NEWEST,
        _conditions(p),
        account=call.account,
        region=p.region_id,
        listed=True,
    )
    return Output(
        page_number=found.number,
        page_size=found.size,
        region_id=p.region_id,
        task_set=TasksOutput(task=tuple(_draw(call, task) for task in found.rows)),
        total_count=found.total,
    )


def _conditions(p: Input) -> list[Condition]:
    c = tasks.c
    conditions: list[Condition] = []
    if p.task_ids is not None:
        conditions.append(c.id.in_(p.task_ids))
    if p.task_action is not None:
        conditions.append(c.action == p.task_action)
    if p.task_status in tuple(TaskStatus):
        conditions.append(c.status == p.task_status)
    if p.start_time is not None:
        conditions.append(c.created_at >= _span("StartTime", p.start_time)[0])
    if p.end_time is not None:
        conditions.append(c.created_at < _span("EndTime", p.end_time)[1])
    if p.resource_ids is not None:
        conditions.append(c.resource.in_(p.resource_ids))
    return conditions


def _span(parameter: str, value: str) -> tuple[float, float]:
    when = span_of(value)
    if when is None:
        raise InvalidParameter(parameter=parameter, rule="a time such as 2026-11-23T06:07:05Z", value=value)
    return when


def _draw(call: Call, task: Task) -> TaskOutput:
    return TaskOutput(
        creation_time=to_minutes_text(task.created_at),
        finished_time="" if task.finished_at is None else to_minutes_text(task.finished_at),
        resource_id=task.resource,
        support_cancel=transfer.say_support_cancel(task),
        task_action=task.action,
        task_id=task.id,
        task_status=transfer.say_status(call, task)[0],
    )


describe_tasks = Operation(
    input=Input,
    output=Output,
    check=check,
    unknown_region=InvalidRegionIdNotFoundOfTasks,
    errors=(InvalidParameter,),
)
