"""``kiln eip``: allocate, list, attach, detach and release elastic IP addresses."""

from __future__ import annotations

from kiln.cli.calling import call, call_each
from kiln.cli.declared import Given, Takes, declared
from kiln.cli.grammar import Json, Region, example, group
from kiln.cli.listings import listing
from kiln.cli.output import Column
from kiln.cli.showing import showing_rows

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

showing_rows(app, "eip", "Show all that is known of an elastic IP address.", "kiln eip show web")

CREATE = Takes("AllocateEipAddress")
DELETE = Takes("ReleaseEipAddress", arguments=("AllocationId",), is_of_several=True)
ATTACH = Takes("AssociateEipAddress", arguments=("AllocationId", "InstanceId"))
DETACH = Takes("UnassociateEipAddress", arguments=("AllocationId",))


@declared(app, "create", CREATE, example("kiln eip create --name web"))
def create_eip(given: Given, *, region: Region = None, as_json: Json = False) -> None:
    """Allocate an elastic IP address, and print its ID."""
    call(given, region, "AllocationId", as_json=as_json)


@declared(app, "attach", ATTACH, example("kiln eip attach web web-1"))
def attach_eip(given: Given, *, region: Region = None, as_json: Json = False) -> None:
    """Have an elastic IP address lead to an instance."""
    call(given, region, as_json=as_json)


@declared(app, "detach", DETACH, example("kiln eip detach web"))
def detach_eip(given: Given, *, region: Region = None, as_json: Json = False) -> None:
    """Have an elastic IP address lead nowhere. It stays the account's."""
    call(given, region, as_json=as_json)


@declared(app, "delete", DELETE, example("kiln eip delete web"))
def delete_eips(given: Given, *, region: Region = None, as_json: Json = False) -> None:
    """Give elastic IP addresses back that lead nowhere."""
    call_each(given, region, as_json=as_json)
