"""``kiln task``: imports and exports that are on their way."""

from __future__ import annotations

from kiln.cli import output
from kiln.cli.declared import Given, Takes, declared
from kiln.cli.grammar import Json, Region, example, group
from kiln.cli.output import Column
from kiln.cli.session import open_client
from kiln.cli.several import end, try_each

app = group()

COLUMNS = (
    Column("TASK", "TaskId"),
    Column("ACTION", "TaskAction"),
    Column("STATUS", "TaskStatus"),
    Column("RESOURCE", "ResourceId"),
    Column("CREATED", "CreationTime"),
    Column("FINISHED", "FinishedTime"),
)

LIST = Takes("DescribeTasks")
CANCEL = Takes("CancelTask", arguments=("TaskId",), is_of_several=True)


@declared(app, "list", LIST, example("kiln task list --status Processing"))
def list_tasks(given: Given, *, region: Region = None, as_json: Json = False) -> None:
    """List imports and exports, the newest first."""
    with open_client(region) as client:
        output.show_rows(client.rows("DescribeTasks", given.resolved(client)), COLUMNS, as_json=as_json)


@declared(app, "cancel", CANCEL, example("kiln task cancel t-bp1hvgwromzv32iq5v8d"))
def cancel_tasks(given: Given, *, region: Region = None, as_json: Json = False) -> None:
    """Cancel imports and exports; what they had begun is taken back."""
    with open_client(region) as client:
        answers, failed = try_each(given.several, lambda it: given.call(client, it))
    output.show_made(list(answers.values()), as_json=as_json)
    end(failed)
