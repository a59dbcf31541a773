"""``kiln disk``: create, list, attach, detach, resize and delete disks."""

from __future__ import annotations

from typing import Annotated

import typer

from kiln.cli import output
from kiln.cli.grammar import (
    DEFAULT_TIMEOUT_S,
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
from kiln.cli.waiting import wait
from kiln.client.client import Client

app = group()

COLUMNS = (
    Column("DISK", "DiskId"),
    Column("NAME", "DiskName"),
    Column("STATUS", "Status"),
    Column("TYPE", "Type"),
    Column("GIB", "Size"),
    Column("CATEGORY", "Category"),
    Column("INSTANCE", "InstanceId"),
    Column("DEVICE", "Device"),
    Column("CREATED", "CreationTime"),
)

Disk = Annotated[str, typer.Argument(help="The ID of the disk.", metavar="DISK")]
Disks = Annotated[list[str], typer.Argument(help="The IDs of the disks.", metavar="DISK")]
Instance = Annotated[str, typer.Argument(help="The ID of the instance.", metavar="INSTANCE")]
NewSize = Annotated[int, typer.Argument(help="The new size in GiB; disks only grow.", metavar="GIB")]
Size = Annotated[int | None, typer.Option("--size", help="Its size in GiB.", metavar="GIB")]
OfSnapshot = Annotated[
    str | None, typer.Option("--snapshot", help="Make it of this data disk's snapshot.", metavar="SNAPSHOT")
]
Category = Annotated[
    str | None, typer.Option("--category", help="Its category, such as cloud_essd.", metavar="CATEGORY")
]
Name = Annotated[str | None, typer.Option("--name", help="The disk's name.", metavar="NAME")]
Zone = Annotated[
    str | None, typer.Option("--zone", help="Its zone; the region's first when not given.", metavar="ZONE")
]
OfInstance = Annotated[str | None, typer.Option("--instance", help="Only disks of this instance.", metavar="INSTANCE")]
WithInstance = Annotated[bool, typer.Option("--delete-with-instance", help="Delete it when the instance is deleted.")]
Online = Annotated[bool, typer.Option("--online", help="While its instance runs; the guest sees the size at once.")]


@app.command("create", epilog=example("kiln disk create --size 40 --name data-1"))
def create_disk(
    *,
    size: Size = None,
    snapshot: OfSnapshot = None,
    category: Category = None,
    name: Name = None,
    zone: Zone = None,
    tag: Tags = None,
    region: Region = None,
    wait_for_it: Wait = True,
    timeout: Timeout = DEFAULT_TIMEOUT_S,
    as_json: Json = False,
) -> None:
    """Make a data disk, blank or of a snapshot, and print its ID."""
    if size is None and snapshot is None:
        raise typer.BadParameter("give --size, --snapshot or both")
    with open_client(region) as client:
        params = {
            "ZoneId": zone or _first_zone(client),
            "Size": size,
            "SnapshotId": snapshot,
            "DiskCategory": category,
            "DiskName": name,
            "Tag": to_tags(tag),
        }
        answer = client.call("CreateDisk", without_empty(params))
        if wait_for_it:
            wait(client, "disk", answer["DiskId"], "Available", timeout)
        output.show_made(answer, answer["DiskId"], as_json=as_json)


@app.command("list", epilog=example("kiln disk list --instance i-bp1g6zv0ce8oghu7k2d3"))
def list_disks(*, instance: OfInstance = None, region: Region = None, as_json: Json = False) -> None:
    """List disks, the newest first."""
    params = without_empty({"InstanceId": instance})
    with open_client(region) as client:
        output.show_rows(client.rows("DescribeDisks", params), COLUMNS, as_json=as_json)


@app.command("attach", epilog=example("kiln disk attach d-bp131n0q38u3a4zi9p2k i-bp1g6zv0ce8oghu7k2d3"))
def attach_disk(
    disk: Disk,
    instance: Instance,
    *,
    delete_with_instance: WithInstance = False,
    region: Region = None,
    wait_for_it: Wait = True,
    timeout: Timeout = DEFAULT_TIMEOUT_S,
    as_json: Json = False,
) -> None:
    """Plug a disk into an instance, running or stopped."""
    with open_client(region) as client:
        params = {"DiskId": disk, "InstanceId": instance, "DeleteWithInstance": delete_with_instance}
        answer = client.call("AttachDisk", without_empty(params))
        if wait_for_it:
            wait(client, "disk", disk, "In_use", timeout)
        output.show_made(answer, as_json=as_json)


@app.command("detach", epilog=example("kiln disk detach d-bp131n0q38u3a4zi9p2k i-bp1g6zv0ce8oghu7k2d3"))
def detach_disk(
    disk: Disk,
    instance: Instance,
    *,
    region: Region = None,
    wait_for_it: Wait = True,
    timeout: Timeout = DEFAULT_TIMEOUT_S,
    as_json: Json = False,
) -> None:
    """Unplug a disk from its instance."""
    with open_client(region) as client:
        answer = client.call("DetachDisk", DiskId=disk, InstanceId=instance)
        if wait_for_it:
            wait(client, "disk", disk, "Available", timeout)
        output.show_made(answer, as_json=as_json)


@app.command("resize", epilog=example("kiln disk resize d-bp131n0q38u3a4zi9p2k 80 --online"))
def resize_disk(
    disk: Disk, gib: NewSize, *, online: Online = False, region: Region = None, as_json: Json = False
) -> None:
    """Make a disk larger. What is on it stays as it is: the file system is the guest's to grow."""
    params = {"DiskId": disk, "NewSize": gib, "Type": "online" if online else None}
    with open_client(region) as client:
        answer = client.call("ResizeDisk", without_empty(params))
    output.show_made(answer, as_json=as_json)


@app.command("delete", epilog=example("kiln disk delete d-bp131n0q38u3a4zi9p2k"))
def delete_disks(disks: Disks, *, region: Region = None, as_json: Json = False) -> None:
    """Delete disks that are attached to nothing. Their snapshots stay."""
    with open_client(region) as client:
        answers, failed = try_each(disks, lambda it: client.call("DeleteDisk", DiskId=it))
    output.show_made(list(answers.values()), as_json=as_json)
    end(failed)


def _first_zone(client: Client) -> str:
    return str(client.call("DescribeZones")["Zones"]["Zone"][0]["ZoneId"])
