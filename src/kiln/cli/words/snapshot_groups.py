"""``kiln snapshot-group``: capture all disks of an instance at one instant, list such groups, and delete them."""

from __future__ import annotations

from kiln.cli import output
from kiln.cli.calling import call, call_each
from kiln.cli.declared import Given, Takes, declared
from kiln.cli.grammar import DEFAULT_TIMEOUT_S, Json, Region, Timeout, Wait, example, group
from kiln.cli.listings import listing
from kiln.cli.output import Column
from kiln.cli.session import open_client
from kiln.cli.waiting import Begun, wait_for_outcome

app = group()

COLUMNS = (
    Column("GROUP", "SnapshotGroupId"),
    Column("NAME", "Name", is_prose=True),
    Column("STATUS", "Status"),
    Column("INSTANCE", "InstanceId"),
    Column("SNAPSHOTS", lambda row: str(len(row["Snapshots"]["Snapshot"]))),
    Column("CREATED", "CreationTime"),
)

CREATE = Takes("CreateSnapshotGroup", arguments=("InstanceId",))
MODIFY = Takes("ModifySnapshotGroup", arguments=("SnapshotGroupId",))
DELETE = Takes("DeleteSnapshotGroup", arguments=("SnapshotGroupId",), is_of_several=True)


@declared(app, "create", CREATE, example("kiln snapshot-group create web-1 --name before-upgrade"))
def create_group(
    given: Given,
    *,
    region: Region = None,
    wait_for_it: Wait = True,
    timeout: Timeout = DEFAULT_TIMEOUT_S,
    as_json: Json = False,
) -> None:
    """Keep what the disks of an instance hold at one instant, and print the group's ID. No bytes are copied."""
    with open_client(region) as client:
        answer = client.call("CreateSnapshotGroup", given.resolved(client))
        made = answer["SnapshotGroupId"]
        output.show_made(answer, made, as_json=as_json)
        if wait_for_it:
            (found,) = client.rows("DescribeSnapshotGroups", {"SnapshotGroupId": [made]})
            for one in found["Snapshots"]["Snapshot"]:
                begun = Begun("snapshot", one["SnapshotId"], None, f"kiln snapshot-group delete {made}")
                wait_for_outcome(client, "CreateSnapshotGroup", begun, timeout)


listing(
    app,
    Takes("DescribeSnapshotGroups"),
    COLUMNS,
    "List snapshot groups, the newest first.",
    "kiln snapshot-group list --instance web-1",
)


@declared(app, "modify", MODIFY, example("kiln snapshot-group modify ssg-j6c9lpuyxo2uxxnyh3k5 --name nightly"))
def modify_group(given: Given, *, region: Region = None, as_json: Json = False) -> None:
    """Change the name or the description of a snapshot group."""
    call(given, region, as_json=as_json)


@declared(app, "delete", DELETE, example("kiln snapshot-group delete ssg-j6c9lpuyxo2uxxnyh3k5"))
def delete_groups(given: Given, *, region: Region = None, as_json: Json = False) -> None:
    """Delete snapshot groups with their snapshots. One that an image or a disk is made of stays, without its group."""
    call_each(given, region, as_json=as_json)
