"""``kiln snapshot``: create, list and delete snapshots."""

from __future__ import annotations

from typing import Annotated

import typer

from kiln.cli import output
from kiln.cli.grammar import (
    DEFAULT_TIMEOUT_S,
    Force,
    Json,
    Region,
    Tags,
    Timeout,
    Wait,
    example,
    group,
    to_tags,
    without_empty,
)
from kiln.cli.output import Column
from kiln.cli.session import open_client
from kiln.cli.several import end, try_each
from kiln.cli.waiting import wait_for_outcome

app = group()

COLUMNS = (
    Column("SNAPSHOT", "SnapshotId"),
    Column("NAME", "SnapshotName"),
    Column("STATUS", "Status"),
    Column("DONE", "Progress"),
    Column("GIB", "SourceDiskSize"),
    Column("TYPE", "SourceDiskType"),
    Column("DISK", "SourceDiskId"),
    Column("USAGE", "Usage"),
    Column("CREATED", "CreationTime"),
)

Disk = Annotated[str, typer.Argument(help="The ID of the disk.", metavar="DISK")]
Snapshots = Annotated[list[str], typer.Argument(help="The IDs of the snapshots.", metavar="SNAPSHOT")]
Name = Annotated[str | None, typer.Option("--name", help="The snapshot's name.", metavar="NAME")]
Description = Annotated[str | None, typer.Option("--description", help="What the snapshot is for.", metavar="TEXT")]
OfDisk = Annotated[str | None, typer.Option("--disk", help="Only snapshots of this disk.", metavar="DISK")]
OfInstance = Annotated[
    str | None, typer.Option("--instance", help="Only snapshots of this instance's disks.", metavar="INSTANCE")
]


@app.command("create", epilog=example("kiln snapshot create d-bp131n0q38u3a4zi9p2k --name before-upgrade"))
def create_snapshot(
    disk: Disk,
    *,
    name: Name = None,
    description: Description = None,
    tag: Tags = None,
    region: Region = None,
    wait_for_it: Wait = True,
    timeout: Timeout = DEFAULT_TIMEOUT_S,
    as_json: Json = False,
) -> None:
    """Keep what a disk holds now, and print the snapshot's ID. No bytes are copied."""
    with open_client(region) as client:
        params = {"DiskId": disk, "SnapshotName": name, "Description": description, "Tag": to_tags(tag)}
        answer = client.call("CreateSnapshot", without_empty(params))
        if wait_for_it:
            wait_for_outcome(client, "CreateSnapshot", "snapshot", answer["SnapshotId"], timeout)
        output.show_made(answer, answer["SnapshotId"], as_json=as_json)


@app.command("list", epilog=example("kiln snapshot list --disk d-bp131n0q38u3a4zi9p2k"))
def list_snapshots(
    *, disk: OfDisk = None, instance: OfInstance = None, region: Region = None, as_json: Json = False
) -> None:
    """List snapshots, the newest first."""
    params = without_empty({"DiskId": disk, "InstanceId": instance})
    with open_client(region) as client:
        output.show_rows(client.rows("DescribeSnapshots", params), COLUMNS, as_json=as_json)


@app.command("delete", epilog=example("kiln snapshot delete s-bp17441ohwkdca0fg1tq"))
def delete_snapshots(
    snapshots: Snapshots, *, force: Force = False, region: Region = None, as_json: Json = False
) -> None:
    """Delete snapshots. One that an image is made of stays until the image is deleted."""
    with open_client(region) as client:
        more = without_empty({"Force": force})
        answers, failed = try_each(snapshots, lambda it: client.call("DeleteSnapshot", {"SnapshotId": it, **more}))
    output.show_made(list(answers.values()), as_json=as_json)
    end(failed)
