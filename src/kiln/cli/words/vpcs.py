"""``kiln vpc``: create, list, show, change and delete VPCs."""

from __future__ import annotations

from kiln.cli.calling import call, call_each
from kiln.cli.declared import Given, Takes, declared
from kiln.cli.grammar import Json, Region, example, group
from kiln.cli.listings import listing
from kiln.cli.output import Column
from kiln.cli.showing import showing_rows

app = group()

COLUMNS = (
    Column("VPC", "VpcId"),
    Column("NAME", "VpcName", is_prose=True),
    Column("STATUS", "Status"),
    Column("CIDR", "CidrBlock"),
    Column("DEFAULT", "IsDefault"),
    Column("CREATED", "CreationTime"),
)

listing(app, Takes("DescribeVpcs"), COLUMNS, "List VPCs, the newest first.", "kiln vpc list")

showing_rows(app, "vpc", "Show all that is known of a VPC.", "kiln vpc show build")

CREATE = Takes("CreateVpc", names={"CidrBlock": "cidr"})
MODIFY = Takes(
    "ModifyVpcAttribute",
    arguments=("VpcId",),
    left_out={"CidrBlock": "a VPC keeps its addresses", "UserCidr": "there are no users' own networks"},
)
DELETE = Takes("DeleteVpc", arguments=("VpcId",), is_of_several=True)


@declared(app, "create", CREATE, example("kiln vpc create --name build --cidr 10.0.0.0/16"))
def create_vpc(given: Given, *, region: Region = None, as_json: Json = False) -> None:
    """Create a VPC, a private network, and print its ID."""
    call(given, region, "VpcId", as_json=as_json)


@declared(app, "modify", MODIFY, example("kiln vpc modify build --name old-build"))
def modify_vpc(given: Given, *, region: Region = None, as_json: Json = False) -> None:
    """Change the name or description of a VPC."""
    call(given, region, as_json=as_json)


@declared(app, "delete", DELETE, example("kiln vpc delete build"))
def delete_vpcs(given: Given, *, region: Region = None, as_json: Json = False) -> None:
    """Delete VPCs in which nothing is."""
    call_each(given, region, as_json=as_json)
