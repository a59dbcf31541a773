"""``kiln snapshot``: create, list, copy and delete snapshots."""

from __future__ import annotations

from operator import itemgetter

from kiln.cli.calling import call_each
from kiln.cli.declared import Given, Takes, declared
from kiln.cli.grammar import DEFAULT_TIMEOUT_S, Json, Region, Timeout, Wait, example, group
from kiln.cli.listings import listing
from kiln.cli.making import make
from kiln.cli.output import Column, mark
from kiln.cli.showing import showing

app = group()

COLUMNS = (
    Column("SNAPSHOT", "SnapshotId"),
    Column("NAME", "SnapshotName", is_prose=True),
    Column("STATUS", "Status"),
    Column("DONE", "Progress"),
    Column("GIB", "SourceDiskSize"),
    Column("CREATED", "CreationTime"),
    Column("DISK", "SourceDiskId"),
    Column("TYPE", "SourceDiskType"),
    Column("USAGE", "Usage"),
    mark("ENCRYPTED", itemgetter("Encrypted")),
)

CREATE = Takes("CreateSnapshot", arguments=("DiskId",))
listing(
    app,
    Takes("DescribeSnapshots"),
    COLUMNS,
    "List snapshots, the newest first.",
    "kiln snapshot list --disk d-bp131n0q38u3a4zi9p2k",
)
showing(
    app,
    "snapshot",
    "Show all that is known of a snapshot, and why it failed or waits.",
    "kiln snapshot show s-bp17441ohwkdca0fg1tq",
)


DELETE = Takes("DeleteSnapshot", arguments=("SnapshotId",), is_of_several=True)


@declared(app, "create", CREATE, example("kiln snapshot create d-bp131n0q38u3a4zi9p2k --name before-upgrade"))
def create_snapshot(
    given: Given,
    *,
    region: Region = None,
    wait_for_it: Wait = True,
    timeout: Timeout = DEFAULT_TIMEOUT_S,
    as_json: Json = False,
) -> None:
    """Keep what a disk holds now, and print the snapshot's ID. No bytes are copied."""
    make(given, "snapshot", region=region, timeout_s=timeout if wait_for_it else None, as_json=as_json)


COPY = Takes(
    "CopySnapshot",
    arguments=("SnapshotId",),
    names={
        "DestinationRegionId": "to",
        "DestinationSnapshotName": "name",
        "DestinationSnapshotDescription": "description",
    },
    left_out={
        "KMSKeyId": "an account has one key in a region",
        "Arn": "there are no roles",
    },
)


@declared(app, "copy", COPY, example("kiln snapshot copy s-bp17441ohwkdca0fg1tq --to cn-hangzhou"))
def copy_snapshot(
    given: Given,
    *,
    region: Region = None,
    wait_for_it: Wait = True,
    timeout: Timeout = DEFAULT_TIMEOUT_S,
    as_json: Json = False,
) -> None:
    """Copy a snapshot to a region, and print the copy's ID. No bytes are copied, unless it is to be encrypted."""
    make(given, "snapshot", region=region, timeout_s=timeout if wait_for_it else None, as_json=as_json)


@declared(app, "delete", DELETE, example("kiln snapshot delete s-bp17441ohwkdca0fg1tq"))
def delete_snapshots(given: Given, *, region: Region = None, as_json: Json = False) -> None:
    """Delete snapshots. One that an image is made of stays until the image is deleted."""
    call_each(given, region, as_json=as_json)
