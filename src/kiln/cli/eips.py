"""``kiln eip``: allocate, list, attach, detach and release elastic IP addresses."""

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
    Column("EIP", "AllocationId"),
    Column("NAME", "Name", is_prose=True),
    Column("STATUS", "Status"),
    Column("ADDRESS", "IpAddress"),
    Column("INSTANCE", "InstanceId"),
    Column("ALLOCATED", "AllocationTime"),
)

listing(
    app,
    Takes("DescribeEipAddresses"),
    COLUMNS,
    "List elastic IP addresses, the newest first.",
    "kiln eip list --status Available",
)

CREATE = Takes("AllocateEipAddress")
DELETE = Takes("ReleaseEipAddress", arguments=("AllocationId",), is_of_several=True)
ATTACH = Takes("AssociateEipAddress", arguments=("AllocationId", "InstanceId"))
DETACH = Takes("UnassociateEipAddress", arguments=("AllocationId",))


@declared(app, "create", CREATE, example("kiln eip create --name web"))
def create_eip(given: Given, *, region: Region = None, as_json: Json = False) -> None:
    """Allocate an elastic IP address, and print its ID."""
    with open_client(region) as client:
        answer = client.call("AllocateEipAddress", given.resolved(client))
    output.show_made(answer, answer["AllocationId"], as_json=as_json)


@declared(app, "attach", ATTACH, example("kiln eip attach eip-2zeerraiwb7ujsxdc3k9 web-1"))
def attach_eip(given: Given, *, region: Region = None, as_json: Json = False) -> None:
    """Have an elastic IP address lead to an instance."""
    with open_client(region) as client:
        answer = client.call("AssociateEipAddress", given.resolved(client))
    output.show_made(answer, as_json=as_json)


@declared(app, "detach", DETACH, example("kiln eip detach eip-2zeerraiwb7ujsxdc3k9"))
def detach_eip(given: Given, *, region: Region = None, as_json: Json = False) -> None:
    """Have an elastic IP address lead nowhere. It stays the account's."""
    with open_client(region) as client:
        answer = client.call("UnassociateEipAddress", given.resolved(client))
    output.show_made(answer, as_json=as_json)


@declared(app, "delete", DELETE, example("kiln eip delete eip-2zeerraiwb7ujsxdc3k9"))
def delete_eips(given: Given, *, region: Region = None, as_json: Json = False) -> None:
    """Give elastic IP addresses back that lead nowhere."""
    with open_client(region) as client:
        answers, failed = try_each(given.several, lambda it: given.call(client, it))
    output.show_made(list(answers.values()), as_json=as_json)
    end(failed)
