"""``kiln task``: imports and exports that are on their way."""

from __future__ import annotations

from typing import Annotated

import typer

from kiln.cli import output
from kiln.cli.grammar import Json, Region, example, group, without_empty
from kiln.cli.output import Column
from kiln.cli.session import open_client

app = group()

COLUMNS = (
    Column("TASK", "TaskId"),
    Column("ACTION", "TaskAction"),
    Column("STATUS", "TaskStatus"),
    Column("RESOURCE", "ResourceId"),
    Column("CREATED", "CreationTime"),
    Column("FINISHED", "FinishedTime"),
)

Tasks = Annotated[list[str], typer.Argument(help="The IDs of the tasks.", metavar="TASK")]
OfStatus = Annotated[
    str | None, typer.Option("--status", help="Only tasks that are Processing, Finished or Failed.", metavar="STATUS")
]


@app.command("list", epilog=example("kiln task list --status Processing"))
def list_tasks(*, status: OfStatus = None, region: Region = None, as_json: Json = False) -> None:
    """List imports and exports, the newest first."""
    params = without_empty({"TaskStatus": status})
    with open_client(region) as client:
        output.show_rows(client.rows("DescribeTasks", params), COLUMNS, as_json=as_json)


@app.command("cancel", epilog=example("kiln task cancel t-bp1hvgwromzv32iq5v8d"))
def cancel_tasks(tasks: Tasks, *, region: Region = None, as_json: Json = False) -> None:
    """Cancel imports and exports; what they had begun is taken back."""
    with open_client(region) as client:
        output.show_made([client.call("CancelTask", TaskId=task) for task in tasks], as_json=as_json)
