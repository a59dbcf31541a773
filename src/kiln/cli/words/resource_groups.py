"""``kiln resource-group``: make, list, rename and delete resource groups, and move resources into them."""

from __future__ import annotations

import typer

from kiln.cli import output
from kiln.cli.calling import call, call_each
from kiln.cli.declared import Given, Takes, declared
from kiln.cli.grammar import Json, Region, example, group
from kiln.cli.listings import listing
from kiln.cli.naming import noun_by_id, noun_of_type, to_id, type_of
from kiln.cli.output import Column
from kiln.cli.session import open_client

app = group()

COLUMNS = (
    Column("GROUP", "Id"),
    Column("NAME", "Name", is_prose=True),
    Column("SHOWN AS", "DisplayName", is_prose=True),
    Column("CREATED", "CreateDate"),
)

CREATE = Takes("CreateResourceGroup", arguments=("Name",), found=("DisplayName",))
RENAME = Takes(
    "UpdateResourceGroup",
    arguments=("ResourceGroupId", "NewDisplayName"),
    names={"ResourceGroupId": "group", "NewDisplayName": "name"},
)
DELETE = Takes(
    "DeleteResourceGroup", arguments=("ResourceGroupId",), is_of_several=True, names={"ResourceGroupId": "group"}
)
ADD = Takes(
    "JoinResourceGroup",
    arguments=("ResourceGroupId", "ResourceId"),
    names={"ResourceGroupId": "group", "ResourceType": "type"},
    found=("ResourceType",),
)


@declared(app, "create", CREATE, example("kiln resource-group create web --display-name 'Web servers'"))
def create_resource_group(given: Given, *, region: Region = None, as_json: Json = False) -> None:
    """Make a resource group, which is shown by its name where nothing else is said, and print its ID."""
    with open_client(region) as client:
        answer = client.call("CreateResourceGroup", {"DisplayName": given.params["Name"], **given.params})
    output.show_made(answer, answer["ResourceGroup"]["Id"], as_json=as_json)


listing(
    app,
    Takes(
        "ListResourceGroups",
        names={"ResourceGroupId": "group", "ResourceGroupIds": "groups"},
    ),
    COLUMNS,
    "List resource groups, the default group first.",
    "kiln resource-group list --name web",
)


@declared(app, "rename", RENAME, example("kiln resource-group rename rg-bp67acfmxazb4p8xk3ie 'Web servers'"))
def update_resource_group(given: Given, *, region: Region = None, as_json: Json = False) -> None:
    """Show a resource group under another name."""
    call(given, region, as_json=as_json)


@declared(app, "delete", DELETE, example("kiln resource-group delete rg-bp67acfmxazb4p8xk3ie"))
def delete_resource_groups(given: Given, *, region: Region = None, as_json: Json = False) -> None:
    """Delete resource groups in which nothing is."""
    call_each(given, region, as_json=as_json)


@declared(app, "add", ADD, example("kiln resource-group add rg-bp67acfmxazb4p8xk3ie i-bp1g6zv0ce8oghu7k2d3"))
def join_resource_group(given: Given, *, region: Region = None, as_json: Json = False) -> None:
    """Move a resource into a resource group."""
    resource = str(given.params["ResourceId"])
    told = given.params.get("ResourceType") or type_of(noun_by_id(resource))
    if not told:
        raise typer.BadParameter("give --type: what the resource is cannot be told from its ID")
    with open_client(region) as client:
        noun = noun_of_type(told)
        known = to_id(client, noun, resource) if noun else resource
        params = {**given.resolved(client), "ResourceType": told, "ResourceId": known}
        output.show_made(client.call("JoinResourceGroup", params), as_json=as_json)
