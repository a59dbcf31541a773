"""``kiln launch-template``: make, list, show and delete launch templates and their versions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from kiln.cli import output, user_data
from kiln.cli.completing import of_noun
from kiln.cli.declared import Given, Takes, declared
from kiln.cli.grammar import Columns, Json, JsonOfAll, Quiet, Region, example, group
from kiln.cli.listings import listing
from kiln.cli.naming import is_id
from kiln.cli.output import Column, View
from kiln.cli.public_ip import PublicIpOfTemplate, bandwidth
from kiln.cli.session import open_client
from kiln.cli.user_data import UserData, read_user_data

app = group()

COLUMNS = (
    Column("TEMPLATE", "LaunchTemplateId"),
    Column("NAME", "LaunchTemplateName", is_prose=True),
    Column("DEFAULT", "DefaultVersionNumber"),
    Column("LATEST", "LatestVersionNumber"),
    Column("CREATED", "CreateTime"),
)


def _said(row: Mapping[str, Any], name: str) -> str:
    return str(row.get("LaunchTemplateData", {}).get(name, ""))


VERSION_COLUMNS = (
    Column("VERSION", "VersionNumber"),
    Column("DEFAULT", "DefaultVersion"),
    Column("IMAGE", lambda row: _said(row, "ImageId") or _said(row, "ImageFamily")),
    Column("TYPE", lambda row: _said(row, "InstanceType")),
    Column("DESCRIPTION", "VersionDescription", is_prose=True),
    Column("CREATED", "CreateTime"),
)

Template = Annotated[
    str,
    typer.Argument(help="The template's ID or name.", metavar="TEMPLATE", autocompletion=of_noun("launch_template")),
]
Version = Annotated[int | None, typer.Option("--version", metavar="N", help="Delete this version alone.")]
Number = Annotated[int, typer.Argument(help="The number of the version.", metavar="N")]

_NAMES = {"ImageFamily": "family", "SystemDisk.Size": "size", "InstanceType": "type"}
_LEFT_OUT = {
    "SecurityGroupId": "--security-group is SecurityGroupIds, which takes one as well",
    "NetworkInterface": "--vswitch, --security-group and --private-ip-address say it",
}
#: Of what an instance is run with, here and where it is run.
PANELS = {
    "Login": ("key-pair-name", "password", "password-inherit", "user-data"),
    "Network": ("public-ip", "security-group", "vswitch", "zone", "private-ip-address"),
    "Disks": ("size", "system-disk-category", "data-disk"),
}
_PANELS = {"Image and size": ("image", "family", "type", "instance-name"), **PANELS}
CREATE = Takes(
    "CreateLaunchTemplate",
    arguments=("LaunchTemplateName",),
    names=_NAMES | {"LaunchTemplateName": "name"},
    own=user_data.OWN,
    left_out=_LEFT_OUT,
    panels=_PANELS,
)
ADD = Takes(
    "CreateLaunchTemplateVersion",
    names=_NAMES,
    own=user_data.OWN | dict.fromkeys(("LaunchTemplateId", "LaunchTemplateName"), "TEMPLATE"),
    left_out=_LEFT_OUT,
    panels=_PANELS,
)


def called(template: str) -> dict[str, str]:
    """The parameter that names a template, by its ID or by its name."""
    return {"LaunchTemplateId" if is_id("launch_template", template) else "LaunchTemplateName": template}


@declared(app, "create", CREATE, example("kiln launch-template create web --family web --type ecs.t5-lc1m1.small"))
def create_launch_template(
    given: Given,
    *,
    public_ip: PublicIpOfTemplate = None,
    to_tell: UserData = None,
    region: Region = None,
    as_json: Json = False,
) -> None:
    """Keep what instances are to be run with under a name, and print the template's ID."""
    with open_client(region) as client:
        params = {**bandwidth(public_ip), **read_user_data(to_tell), **given.resolved(client)}
        answer = client.call("CreateLaunchTemplate", params)
    output.show_made(answer, answer["LaunchTemplateId"], as_json=as_json)


@declared(app, "add-version", ADD, example("kiln launch-template add-version web --image m-bp146shijn7hujku8a5c"))
def create_launch_template_version(
    given: Given,
    *,
    template: Template,
    public_ip: PublicIpOfTemplate = None,
    to_tell: UserData = None,
    region: Region = None,
    as_json: Json = False,
) -> None:
    """Add a version, which says what is said here and nothing of the versions before, and print its number."""
    with open_client(region) as client:
        params = {**called(template), **bandwidth(public_ip), **read_user_data(to_tell), **given.resolved(client)}
        answer = client.call("CreateLaunchTemplateVersion", params)
    output.show_made(answer, str(answer["LaunchTemplateVersionNumber"]), as_json=as_json)


listing(
    app,
    Takes(
        "DescribeLaunchTemplates",
        names={"LaunchTemplateName": "name", "LaunchTemplateId": "template", "TemplateTag": "tag"}
        | {"TemplateResourceGroupId": "resource-group"},
    ),
    COLUMNS,
    "List launch templates, the newest first.",
    "kiln launch-template list",
)


@app.command("show", epilog=example("kiln launch-template show web", "kiln launch-template show web --json"))
def show_launch_template(
    template: Template,
    *,
    quiet: Quiet = False,
    wanted: Columns = None,
    region: Region = None,
    as_json: JsonOfAll = False,
) -> None:
    """List the versions of a launch template, the newest first; with --json all that each says."""
    view = View(as_json=as_json, ids_only=quiet, columns=wanted)
    with open_client(region) as client:
        rows = client.rows("DescribeLaunchTemplateVersions", called(template))
        output.show_rows(rows, VERSION_COLUMNS, view)


@app.command("set-default", epilog=example("kiln launch-template set-default web 2"))
def set_default_version(template: Template, number: Number, *, region: Region = None, as_json: Json = False) -> None:
    """Have instances be run with another version where none is named."""
    with open_client(region) as client:
        answer = client.call("ModifyLaunchTemplateDefaultVersion", {**called(template), "DefaultVersionNumber": number})
    output.show_made(answer, as_json=as_json)


@app.command("delete", epilog=example("kiln launch-template delete web", "kiln launch-template delete web --version 1"))
def delete_launch_template(
    template: Template, *, version: Version = None, region: Region = None, as_json: Json = False
) -> None:
    """Delete a launch template with all of its versions, or one version of it."""
    named: dict[str, Any] = called(template)
    with open_client(region) as client:
        if version is None:
            answer = client.call("DeleteLaunchTemplate", named)
        else:
            answer = client.call("DeleteLaunchTemplateVersion", {**named, "DeleteVersion": [version]})
    output.show_made(answer, as_json=as_json)
