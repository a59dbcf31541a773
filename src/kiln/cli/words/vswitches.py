"""``kiln vswitch``: create, list, show, change and delete VSwitches."""

from __future__ import annotations

from kiln.cli.calling import call, call_each
from kiln.cli.declared import Given, Takes, declared
from kiln.cli.grammar import Json, Region, example, group
from kiln.cli.listings import listing
from kiln.cli.output import Column
from kiln.cli.showing import showing_rows

app = group()

COLUMNS = (
    Column("VSWITCH", "VSwitchId"),
    Column("NAME", "VSwitchName", is_prose=True),
    Column("STATUS", "Status"),
    Column("CIDR", "CidrBlock"),
    Column("FREE", "AvailableIpAddressCount"),
    Column("ZONE", "ZoneId"),
    Column("VPC", "VpcId"),
)

listing(
    app,
    Takes("DescribeVSwitches", names={"VSwitchName": "name"}),
    COLUMNS,
    "List VSwitches, the newest first.",
    "kiln vswitch list --vpc build",
)

showing_rows(app, "vswitch", "Show all that is known of a VSwitch.", "kiln vswitch show build-a")

CREATE = Takes("CreateVSwitch", names={"CidrBlock": "cidr", "VSwitchName": "name"})
MODIFY = Takes("ModifyVSwitchAttribute", arguments=("VSwitchId",), names={"VSwitchName": "name"})
DELETE = Takes("DeleteVSwitch", arguments=("VSwitchId",), is_of_several=True)


@declared(
    app,
    "create",
    CREATE,
    example("kiln vswitch create --vpc build --zone ZONE --cidr 10.0.0.0/24"),
)
def create_vswitch(given: Given, *, region: Region = None, as_json: Json = False) -> None:
    """Create a VSwitch, a part of a VPC's addresses in one zone, and print its ID."""
    call(given, region, "VSwitchId", as_json=as_json)


@declared(app, "modify", MODIFY, example("kiln vswitch modify build-a --name old-build-a"))
def modify_vswitch(given: Given, *, region: Region = None, as_json: Json = False) -> None:
    """Change the name or description of a VSwitch."""
    call(given, region, as_json=as_json)


@declared(app, "delete", DELETE, example("kiln vswitch delete build-a"))
def delete_vswitches(given: Given, *, region: Region = None, as_json: Json = False) -> None:
    """Delete VSwitches to which no instance is joined."""
    call_each(given, region, as_json=as_json)
