"""``kiln vpc``: create, list and delete VPCs."""

from __future__ import annotations

from kiln.cli.calling import call, call_each
from kiln.cli.declared import Given, Takes, declared
from kiln.cli.grammar import Json, Region, example, group
from kiln.cli.listings import listing
from kiln.cli.output import Column

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

CREATE = Takes("CreateVpc", names={"CidrBlock": "cidr"})
DELETE = Takes("DeleteVpc", arguments=("VpcId",), is_of_several=True)


@declared(app, "create", CREATE, example("kiln vpc create --name build --cidr 10.0.0.0/16"))
def create_vpc(given: Given, *, region: Region = None, as_json: Json = False) -> None:
    """Create a VPC, a private network, and print its ID."""
    call(given, region, "VpcId", as_json=as_json)


@declared(app, "delete", DELETE, example("kiln vpc delete build"))
def delete_vpcs(given: Given, *, region: Region = None, as_json: Json = False) -> None:
    """Delete VPCs in which nothing is."""
    call_each(given, region, as_json=as_json)
