"""Tasks: imports and exports of images, how far they are, and why they failed."""

from __future__ import annotations

from kiln.console.nouns import detail, family
from kiln.console.nouns.noun import Does, Noun
from kiln.console.visit import Page, Shown, Visit

TASKS = Noun(
    name="tasks",
    action="DescribeTasks",
    id="TaskId",
    asks="TaskIds",
    state="TaskStatus",
    columns=("TaskId", "TaskAction", "TaskStatus", "ResourceId", "CreationTime", "FinishedTime"),
    filters=("TaskStatus", "TaskAction", "TaskIds"),
    does=(Does(action="CancelTask", states=("Processing", "Waiting"), is_grave=True),),
)


def show(noun: Noun, visit: Visit) -> Shown:
    """A task and its disks."""
    shown = detail.show(noun, visit)
    told = visit.call("DescribeTaskAttribute", TaskId=shown["id"])
    return {**shown, "process": told["TaskProcess"], "disks": told["OperationProgressSet"]["OperationProgress"]}


PAGES: tuple[Page, ...] = tuple(family.pages(TASKS, show=show, one="task.html"))
