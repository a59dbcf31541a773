"""``kiln task``: imports and exports that are on their way."""

from __future__ import annotations

from kiln.cli.calling import call_each
from kiln.cli.declared import Given, Takes, declared
from kiln.cli.grammar import Json, Region, example, group
from kiln.cli.listings import listing
from kiln.cli.output import Column
from kiln.cli.showing import showing

app = group()

COLUMNS = (
    Column("TASK", "TaskId"),
    Column("ACTION", "TaskAction"),
    Column("STATUS", "TaskStatus"),
    Column("RESOURCE", "ResourceId"),
    Column("CREATED", "CreationTime"),
    Column("FINISHED", "FinishedTime"),
)

listing(
    app,
    Takes("DescribeTasks"),
    COLUMNS,
    "List imports and exports, the newest first.",
    "kiln task list --status Processing",
)
showing(
    app, "task", "Show how far a task is, and why it waits or was given up.", "kiln task show t-bp1hvgwromzv32iq5v8d"
)


CANCEL = Takes("CancelTask", arguments=("TaskId",), is_of_several=True)


@declared(app, "cancel", CANCEL, example("kiln task cancel t-bp1hvgwromzv32iq5v8d"))
def cancel_tasks(given: Given, *, region: Region = None, as_json: Json = False) -> None:
    """Cancel imports and exports; what they had begun is taken back."""
    call_each(given, region, as_json=as_json)
