"""``kiln tag``: put tags on whatever has them, take them off, and list them."""

from __future__ import annotations

import typer

from kiln.cli import output
from kiln.cli.declared import Given, Takes, declared
from kiln.cli.grammar import Columns, Json, Quiet, Region, example, group
from kiln.cli.naming import noun_by_id, noun_of_type, to_id, type_of
from kiln.cli.output import Column, View
from kiln.cli.session import open_client
from kiln.client.client import Client

app = group()

COLUMNS = (
    Column("RESOURCE", "ResourceId"),
    Column("TYPE", "ResourceType"),
    Column("KEY", "TagKey", is_prose=True),
    Column("VALUE", "TagValue", is_prose=True),
)

TYPES = ("image", "snapshot", "disk", "instance", "keypair", "securitygroup", "launchtemplate", "snapshotpolicy")

ADD = Takes("TagResources", arguments=("ResourceId",), names={"ResourceType": "type"}, found=("ResourceType",))
REMOVE = Takes(
    "UntagResources",
    arguments=("ResourceId",),
    names={"ResourceType": "type", "TagKey": "key"},
    found=("ResourceType",),
)
LIST = Takes("ListTagResources", names={"ResourceType": "type", "ResourceId": "resource"}, found=("ResourceType",))


@declared(app, "add", ADD, example("kiln tag add m-bp146shijn7hujku8a5c --tag use=test --tag team=web"))
def add_tags(given: Given, *, region: Region = None, as_json: Json = False) -> None:
    """Put tags on resources of one type. A key that one has already gets the new value."""
    _call(given, region, as_json=as_json)


@declared(app, "remove", REMOVE, example("kiln tag remove web --type instance --key use"))
def remove_tags(given: Given, *, region: Region = None, as_json: Json = False) -> None:
    """Take tags off resources of one type: those of the keys, or all."""
    if not given.params.keys() & {"TagKey", "All"}:
        raise typer.BadParameter("give --key or --all")
    _call(given, region, as_json=as_json)


@declared(
    app,
    "list",
    LIST,
    example("kiln tag list --type image --tag use", "kiln tag list --resource i-bp1g6zv0ce8oghu7k2d3"),
)
def list_tags(
    given: Given,
    *,
    quiet: Quiet = False,
    wanted: Columns = None,
    region: Region = None,
    as_json: Json = False,
) -> None:
    """List tags, of some resources or of all that have certain tags."""
    view = View(as_json=as_json, ids_only=quiet, columns=wanted)
    view.chosen(COLUMNS)
    named = given.params.get("ResourceId", [])
    if not given.params.keys() & {"ResourceId", "Tag", "TagFilter"}:
        raise typer.BadParameter("give --resource or --tag")
    noun = _noun_of(given)
    with open_client(region) as client:
        ids = {"ResourceId": _ids(client, given, noun)} if named else {}
        rows = client.rows("ListTagResources", {**given.params, **ids, "ResourceType": noun})
        output.show_rows(rows, COLUMNS, view)


def _call(given: Given, region: str | None, *, as_json: bool) -> None:
    noun = _noun_of(given)
    with open_client(region) as client:
        params = {**given.params, "ResourceType": noun, "ResourceId": _ids(client, given, noun)}
        output.show_made(client.call(given.takes.action, params), as_json=as_json)


def _ids(client: Client, given: Given, noun: str) -> list[str]:
    """The IDs of the resources. A name says nothing of its noun, so names count where --type does.

    What has no ID that callers see is called by its name.
    """
    named = noun_of_type(noun)
    if not named:
        return list(given.params["ResourceId"])
    is_told = bool(given.params.get("ResourceType"))
    return [to_id(client, named, one, by_name=is_told) for one in given.params["ResourceId"]]


def _noun_of(given: Given) -> str:
    """What the resources are: what --type says, or else their IDs. Raises typer.BadParameter where neither does."""
    told = given.params.get("ResourceType")
    found = {told} if told else {type_of(noun_by_id(one)) for one in given.params.get("ResourceId", ())}
    unknown = [] if told else [one for one in given.params.get("ResourceId", ()) if not noun_by_id(one)]
    if unknown:
        raise typer.BadParameter(
            f"{unknown[0]!r} is no ID that says what it is of: give --type with one of {', '.join(TYPES)}"
        )
    if len(found) != 1 or not all(found):
        raise typer.BadParameter("say by --type what they are; those of one call are all the same")
    return str(found.pop())
