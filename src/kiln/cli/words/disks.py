"""``kiln disk``: create, list, attach, detach, resize, put back and delete disks."""

from __future__ import annotations

from operator import itemgetter
from typing import Annotated

import typer

from kiln.cli import output
from kiln.cli.calling import call_each
from kiln.cli.declared import Given, Takes, declared
from kiln.cli.doing import doing
from kiln.cli.grammar import DEFAULT_TIMEOUT_S, Json, Region, Timeout, Wait, example, group
from kiln.cli.listings import listing
from kiln.cli.output import Column, mark
from kiln.cli.session import open_client
from kiln.cli.showing import showing
from kiln.cli.waiting import Begun, wait
from kiln.client.client import Client

app = group()

COLUMNS = (
    Column("DISK", "DiskId"),
    Column("NAME", "DiskName", is_prose=True),
    Column("STATUS", "Status"),
    Column("TYPE", "Type"),
    Column("GIB", "Size"),
    Column("INSTANCE", "InstanceId"),
    Column("DEVICE", "Device"),
    Column("CATEGORY", "Category"),
    Column("CREATED", "CreationTime"),
    mark("ENCRYPTED", itemgetter("Encrypted")),
)


Online = Annotated[bool, typer.Option("--online", help="While its instance runs; the guest sees the size at once.")]

CREATE = Takes("CreateDisk")


@declared(app, "create", CREATE, example("kiln disk create --size 40 --name data-1"))
def create_disk(
    given: Given,
    *,
    region: Region = None,
    wait_for_it: Wait = True,
    timeout: Timeout = DEFAULT_TIMEOUT_S,
    as_json: Json = False,
) -> None:
    """Make a data disk, blank or of a snapshot, and print its ID. Without --zone it is in the region's first."""
    if not given.params.keys() & {"Size", "SnapshotId"}:
        raise typer.BadParameter("give --size, --snapshot or both")
    with open_client(region) as client:
        params = given.resolved(client)
        if not params.keys() & {"ZoneId", "InstanceId"}:
            params["ZoneId"] = _first_zone(client)
        answer = client.call("CreateDisk", params)
        disk = answer["DiskId"]
        output.show_made(answer, disk, as_json=as_json)
        if wait_for_it:
            until = "In_use" if "InstanceId" in params else "Available"
            wait(client, Begun("disk", disk, until, f"kiln disk delete {disk}"), timeout)


listing(
    app,
    Takes("DescribeDisks"),
    COLUMNS,
    "List disks, the newest first.",
    "kiln disk list --instance i-bp1g6zv0ce8oghu7k2d3",
)
showing(
    app, "disk", "Show all that is known of a disk, and what it waits for.", "kiln disk show d-bp131n0q38u3a4zi9p2k"
)


ATTACH = Takes("AttachDisk", arguments=("DiskId", "InstanceId"))
DETACH = Takes("DetachDisk", arguments=("DiskId", "InstanceId"))
RESIZE = Takes("ResizeDisk", arguments=("DiskId", "NewSize"), own={"Type": "--online"})
REINIT = Takes("ReInitDisk", arguments=("DiskId",))
DELETE = Takes("DeleteDisk", arguments=("DiskId",), is_of_several=True)


doing(
    app,
    "attach",
    ATTACH,
    "Plug a disk into an instance, running or stopped.",
    "kiln disk attach d-bp131n0q38u3a4zi9p2k i-bp1g6zv0ce8oghu7k2d3",
)

doing(
    app,
    "detach",
    DETACH,
    "Unplug a disk from its instance.",
    "kiln disk detach d-bp131n0q38u3a4zi9p2k i-bp1g6zv0ce8oghu7k2d3",
)


@declared(app, "resize", RESIZE, example("kiln disk resize d-bp131n0q38u3a4zi9p2k 80 --online"))
def resize_disk(given: Given, *, online: Online = False, region: Region = None, as_json: Json = False) -> None:
    """Make a disk larger. What is on it stays as it is: the file system is the guest's to grow."""
    own = {"Type": "online"} if online else {}
    with open_client(region) as client:
        answer = client.call("ResizeDisk", {**given.resolved(client), **own})
    output.show_made(answer, as_json=as_json)


doing(
    app,
    "reinit",
    REINIT,
    "Put a disk back to what it was made of: its image, its snapshot, or nothing. All that was written is gone.",
    "kiln disk reinit d-bp131n0q38u3a4zi9p2k --auto-start-instance",
)


@declared(app, "delete", DELETE, example("kiln disk delete d-bp131n0q38u3a4zi9p2k"))
def delete_disks(given: Given, *, region: Region = None, as_json: Json = False) -> None:
    """Delete disks that are attached to nothing. Their snapshots stay."""
    call_each(given, region, as_json=as_json)


def _first_zone(client: Client) -> str:
    return str(client.call("DescribeZones")["Zones"]["Zone"][0]["ZoneId"])
