"""Cancel an import or export that is still Processing.

It answers at once; the task is Failed a moment later. Of an import nothing
stays: the image is gone. An export leaves no files. A task that was cancelled
before and has not ended yet may be cancelled again.
"""

from __future__ import annotations

from typing import Annotated

from kiln.calls.call import Call
from kiln.declare.errors import ApiError
from kiln.declare.operation import Operation
from kiln.declare.rules import Missing
from kiln.declare.shapes import shape
from kiln.declare.states import TaskStatus
from kiln.operations.errors.regions import InvalidRegionIdNotFoundOfTasks
from kiln.operations.errors.tasks import MissingParameterOfTasks
from kiln.operations.params import NothingMore, RegionId, TaskId
from kiln.operations.steps import transfer
from kiln.operations.tasks.parts.errors import InvalidTaskIdNotFound
from kiln.store.tasks import tasks


class InvalidTaskIdIncorrectTaskStatus(ApiError):
    """The task is Finished or Failed."""

    code = "InvalidTaskId.IncorrectTaskStatus"
    status = 403
    message = "The specified task status is invalid."


@shape
class Input:
    region_id: Annotated[RegionId, Missing(MissingParameterOfTasks)]
    task_id: Annotated[TaskId, Missing(MissingParameterOfTasks)]


def check(call: Call, p: Input) -> str:
    task = transfer.find_task(call, p.region_id, p.task_id)
    if task is None:
        raise InvalidTaskIdNotFound(task_id=p.task_id)
    if task.status != TaskStatus.PROCESSING:
        raise InvalidTaskIdIncorrectTaskStatus(task_id=task.id, status=task.status)
    return task.id


def commit(call: Call, task: str) -> NothingMore:
    # A task that waits, for its lane or for another try, waits no longer: there is nothing left to wait for.
    tasks.update(call.tx, {"cancel_requested": True, "lane": "", "not_before": 0.0}, id=task)
    return NothingMore()


cancel_task = Operation(
    input=Input,
    output=NothingMore,
    check=check,
    commit=commit,
    unknown_region=InvalidRegionIdNotFoundOfTasks,
    gives_back=True,
    errors=(InvalidTaskIdNotFound, InvalidTaskIdIncorrectTaskStatus),
)
