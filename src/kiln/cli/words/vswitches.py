"""``kiln vswitch``: create, list and delete VSwitches."""

from __future__ import annotations

from kiln.cli.calling import call, call_each
from kiln.cli.declared import Given, Takes, declared
from kiln.cli.grammar import Json, Region, example, group
from kiln.cli.listings import listing
from kiln.cli.output import Column

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

CREATE = Takes("CreateVSwitch", names={"CidrBlock": "cidr", "VSwitchName": "name"})
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


@declared(app, "delete", DELETE, example("kiln vswitch delete build-a"))
def delete_vswitches(given: Given, *, region: Region = None, as_json: Json = False) -> None:
    """Delete VSwitches to which no instance is joined."""
    call_each(given, region, as_json=as_json)
