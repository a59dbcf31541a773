"""``kiln vpc``: create, list and delete VPCs."""

from __future__ import annotations

from kiln.cli import output
from kiln.cli.declared import Given, Takes, declared
from kiln.cli.grammar import Json, Region, example, group
from kiln.cli.listings import listing
from kiln.cli.output import Column
from kiln.cli.session import open_client
from kiln.cli.several import end, try_each

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
    with open_client(region) as client:
        answer = client.call("CreateVpc", given.resolved(client))
    output.show_made(answer, answer["VpcId"], as_json=as_json)


@declared(app, "delete", DELETE, example("kiln vpc delete build"))
def delete_vpcs(given: Given, *, region: Region = None, as_json: Json = False) -> None:
    """Delete VPCs in which nothing is."""
    with open_client(region) as client:
        answers, failed = try_each(given.several, lambda it: given.call(client, it))
    output.show_made(list(answers.values()), as_json=as_json)
    end(failed)
