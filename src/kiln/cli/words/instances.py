"""``kiln instance``: run, look at, stop and change instances."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from kiln.cli import console, inside, output, user_data
from kiln.cli.calling import call
from kiln.cli.completing import of_noun
from kiln.cli.declared import Given, Takes, declared
from kiln.cli.doing import doing
from kiln.cli.grammar import DEFAULT_TIMEOUT_S, Bidding, Json, Region, SocketData, Timeout, Wait, example, group
from kiln.cli.listings import listing
from kiln.cli.naming import is_id, to_id
from kiln.cli.output import Column
from kiln.cli.public_ip import PublicIp, bandwidth
from kiln.cli.session import open_client
from kiln.cli.showing import showing
from kiln.cli.user_data import UserData, read_user_data
from kiln.cli.waiting import Begun, wait, wait_for_outcome
from kiln.cli.words import launch_templates
from kiln.client.catalogue import DEFAULT_INSTANCE_TYPE

app = group()

#: Small enough for a laptop, large enough for any distribution: 1 CPU, 1 GiB.


def _addresses(row: Mapping[str, Any]) -> list[str]:
    public: list[str] = row.get("PublicIpAddress", {}).get("IpAddress", [])
    return public


COLUMNS = (
    Column("INSTANCE", "InstanceId"),
    Column("NAME", "InstanceName", is_prose=True),
    Column("STATUS", "Status"),
    Column("PUBLIC IP", _addresses),
    Column("IMAGE", "ImageId"),
    Column("TYPE", "InstanceType"),
    Column("CREATED", "CreationTime"),
)

Instance = Annotated[
    str,
    typer.Argument(
        help="The instance's ID, the beginning of one, or a name.",
        metavar="INSTANCE",
        autocompletion=of_noun("instance"),
    ),
]
Template = Annotated[
    str | None,
    typer.Option(
        "--template",
        metavar="TEMPLATE",
        help="A launch template, by its ID or name: it says what is not said here.",
        autocompletion=of_noun("launch_template"),
    ),
]
Type = Annotated[
    str | None,
    typer.Option(
        "--type",
        metavar="TYPE",
        help=f"The size; {DEFAULT_INSTANCE_TYPE} when no template says one either. `kiln region types` lists them.",
    ),
]
Follow = Annotated[bool, typer.Option("--follow", "-f", help="Go on showing what comes, until Ctrl-C.")]
Raw = Annotated[bool, typer.Option("--raw", help="Show terminal control sequences as they are; they command yours.")]
Attach = Annotated[
    bool, typer.Option("--attach", help="Join this terminal to it, and type into it as well. Ctrl-] leaves.")
]

Command = Annotated[
    list[str] | None, typer.Argument(help="What it is to do; without it, what is typed.", metavar="[COMMAND...]")
]

RUN = Takes(
    "RunInstances",
    names={
        "ImageFamily": "family",
        "Amount": "count",
        "SystemDisk.Size": "size",
        "LaunchTemplateVersion": "template-version",
    },
    own=user_data.OWN
    | {"InstanceType": "--type", "LaunchTemplateId": "--template", "LaunchTemplateName": "--template"},
    left_out={
        "SecurityGroupId": "--security-group is SecurityGroupIds, which takes one as well",
        "NetworkInterface": "--vswitch, --security-group and --private-ip-address say it",
    },
    panels={
        "Image and size": ("image", "family", "type", "count", "name", "template", "template-version"),
        **launch_templates.PANELS,
    },
)


@declared(
    app,
    "run",
    RUN,
    example(
        "kiln instance run --image m-bp146shijn7hujku8a5c --name web-1",
        "kiln instance run --template web --count 3",
    ),
)
def run_instances(
    given: Given,
    *,
    template: Template = None,
    type: Type = None,  # noqa: A002 - what the option is called, as of every other word.
    public_ip: PublicIp = None,
    to_tell: UserData = None,
    region: Region = None,
    wait_for_it: Wait = True,
    timeout: Timeout = DEFAULT_TIMEOUT_S,
    as_json: Json = False,
) -> None:
    """Make instances of an image, start them, and print their IDs."""
    images = {"ImageId", "ImageFamily"} & given.params.keys()
    if len(images) > 1 or not (images or template):
        raise typer.BadParameter("give either --image or --family, or a --template")
    own: dict[str, Any] = {} if template is None else launch_templates.called(template)
    if type is not None or template is None:
        own["InstanceType"] = type or DEFAULT_INSTANCE_TYPE
    own |= bandwidth(True if public_ip is None and template is None else public_ip)
    with open_client(region) as client:
        answer = client.call("RunInstances", {**own, **read_user_data(to_tell), **given.resolved(client)})
        made = answer["InstanceIdSets"]["InstanceIdSet"]
        output.show_made(answer, *made, as_json=as_json)
        for instance in made if wait_for_it else ():
            begun = Begun("instance", instance, None, f"kiln instance delete {instance} --force")
            wait_for_outcome(client, "RunInstances", begun, timeout)


listing(
    app, Takes("DescribeInstances"), COLUMNS, "List instances, the newest first.", "kiln instance list --status Running"
)


showing(
    app,
    "instance",
    "Show all that is known of an instance, and why it did not start or what it waits for.",
    "kiln instance show i-bp1g6zv0ce8oghu7k2d3",
)


MODIFY = Takes("ModifyInstanceAttribute", arguments=("InstanceId",), own=user_data.OWN)
RESIZE = Takes(
    "ModifyInstanceSpec",
    arguments=("InstanceId",),
    left_out={
        "InternetMaxBandwidthOut": "it is only remembered, and not changed together with the type",
        "InternetMaxBandwidthIn": "likewise",
    },
)
START = Takes("StartInstance", arguments=("InstanceId",), is_of_several=True)
STOP = Takes("StopInstance", arguments=("InstanceId",), is_of_several=True, names={"ForceStop": "force"})
REBOOT = Takes("RebootInstance", arguments=("InstanceId",), is_of_several=True, names={"ForceStop": "force"})
DELETE = Takes("DeleteInstance", arguments=("InstanceId",), is_of_several=True)
REPLACE = Takes("ReplaceSystemDisk", arguments=("InstanceId",), names={"SystemDisk.Size": "size"})


doing(app, "start", START, "Start stopped instances.", "kiln instance start i-bp1g6zv0ce8oghu7k2d3")

doing(
    app,
    "stop",
    STOP,
    "Stop running instances: the guest is asked to power off, and cut off if it does not.",
    "kiln instance stop i-bp1g6zv0ce8oghu7k2d3",
)

doing(app, "reboot", REBOOT, "Restart the guests of running instances.", "kiln instance reboot i-bp1g6zv0ce8oghu7k2d3")


@declared(
    app,
    "modify",
    MODIFY,
    example("kiln instance modify web --name web-1", "kiln instance modify web --password An0ther-one"),
)
def modify_instance(given: Given, *, to_tell: UserData = None, region: Region = None, as_json: Json = False) -> None:
    """Change what an instance is called, its password, groups and the like; a guest's password after its next start."""
    with open_client(region) as client:
        answer = client.call("ModifyInstanceAttribute", {**read_user_data(to_tell), **given.resolved(client)})
    output.show_made(answer, as_json=as_json)


@declared(app, "resize", RESIZE, example("kiln instance resize web --type ecs.g6.large"))
def resize_instance(given: Given, *, region: Region = None, as_json: Json = False) -> None:
    """Give a stopped instance another type; its next start is with that."""
    call(given, region, as_json=as_json)


doing(
    app,
    "delete",
    DELETE,
    "Delete instances, with the disks that were made to go with them.",
    "kiln instance delete i-bp1g6zv0ce8oghu7k2d3 --force",
)


@declared(
    app,
    "replace-system-disk",
    REPLACE,
    example("kiln instance replace-system-disk web --image m-bp146shijn7hujku8a5c"),
)
def replace_system_disk(
    given: Given,
    *,
    region: Region = None,
    wait_for_it: Wait = True,
    timeout: Timeout = DEFAULT_TIMEOUT_S,
    as_json: Json = False,
) -> None:
    """Give a stopped instance a new system disk made of an image, and print the disk's ID. The old disk is deleted."""
    with open_client(region) as client:
        answer = client.call("ReplaceSystemDisk", given.resolved(client))
        output.show_made(answer, answer["DiskId"], as_json=as_json)
        if wait_for_it:
            wait(client, Begun("disk", answer["DiskId"], "In_use"), timeout)


@app.command("console", epilog=example("kiln instance console i-bp1g6zv0ce8oghu7k2d3 --follow"))
def show_console(
    instance: Instance,
    *,
    follow: Follow = False,
    raw: Raw = False,
    attach: Attach = False,
    data: SocketData = None,
    region: Region = None,
) -> None:
    """Show what an instance has printed on its serial console: the last 64 KiB of it.

    With --attach, from anywhere; all who are joined see the same, and each may
    type. With --data too, by the machine's own socket there, which one can be
    connected to: no service is needed, and others wait.
    """
    if attach and data is not None:
        console.attach(data, _id_of(instance, region))
        return
    with open_client(region) as client:
        if attach:
            # What speaks WebSocket takes as long to load as a word may take.
            importlib.import_module("kiln.cli.terminal").join(client, to_id(client, "instance", instance))
            return
        console.show(client, to_id(client, "instance", instance), follow=follow, raw=raw)


@app.command(
    "shell",
    cls=Bidding,
    epilog=example(
        "kiln instance shell sample",
        "kiln instance shell sample write /data0/hello hi",
        "echo uptime | kiln instance shell i-bp1",
    ),
)
def converse(
    instance: Instance,
    command: Command = None,
    *,
    timeout: Timeout = 120.0,
    data: SocketData = None,
    region: Region = None,
) -> None:
    """Talk to the guest of `kiln image import --sample` over its console, from anywhere.

    Without COMMAND it obeys what is typed, a line each, and `help` says what it
    knows. With --data, by the machine's own socket there, which one can be
    connected to: no service is needed, and others wait. For other guests there is
    `kiln instance console INSTANCE --attach`.
    """
    # What talks to the guest brings the settings; only who asks for it waits for that.
    sample, said = importlib.import_module("kiln.cli.sample"), " ".join(command or ())
    if data is not None:
        found = _id_of(instance, region)
        sample.converse(sample.opened_here(data, found, timeout), found, said)
        return
    with open_client(region) as client:
        found = to_id(client, "instance", instance)
        by_the_api = importlib.import_module("kiln.cli.terminal").opened(client, found, timeout)
        sample.converse(by_the_api, found, said)


@app.command(
    "exec",
    cls=Bidding,
    epilog=example("kiln instance exec web df -h", "kiln instance exec web --user app -- sh -c 'ls | wc -l'"),
)
def execute(
    instance: Instance,
    command: Annotated[list[str], typer.Argument(help="The program and its arguments.", metavar="COMMAND...")],
    *,
    timeout: Annotated[
        int,
        typer.Option(
            "--timeout", min=10, max=86400, help="Seconds after which it is killed: 10 to 86400.", metavar="SECONDS"
        ),
    ] = 60,
    user: Annotated[
        str | None, typer.Option("--user", help="Who runs it in the guest; root when not given.", metavar="USER")
    ] = None,
    directory: Annotated[
        str | None, typer.Option("--working-dir", help="Where it begins in the guest.", metavar="DIR")
    ] = None,
    region: Region = None,
) -> None:
    """Run a command in a running instance, by QEMU's guest agent there: no network and no login is needed.

    Options of `exec` stand before COMMAND; what follows it is COMMAND's own.
    Prints what it printed when it has ended, and ends with its exit code. Its
    standard input is empty; pipes and the like are a shell's: `sh -c '...'`.
    Ctrl-C stops it in the guest. Of output beyond 24 KB the middle is not kept.
    """
    with open_client(region) as client:
        found = to_id(client, "instance", instance)
        code = inside.execute(client, found, command, timeout_s=timeout, user=user, directory=directory)
    raise typer.Exit(code)


@app.command("cp", epilog=example("kiln instance cp app.conf web:/etc/app/app.conf"))
def copy_file(
    file: Annotated[Path, typer.Argument(help="The file of this machine.", metavar="FILE")],
    target: Annotated[str, typer.Argument(help="Where it is to be in the guest.", metavar="INSTANCE:/PATH")],
    *,
    mode: Annotated[
        str, typer.Option("--mode", help="Who may do what with it, in octal digits.", metavar="MODE")
    ] = "0644",
    region: Region = None,
) -> None:
    """Put a file of at most 24 KB into a running instance, in place of what is there, as `exec` runs a command.

    A PATH that ends with a slash is a folder. Folders that are not there are made.
    """
    instance, path = inside.split_target(target)
    with open_client(region) as client:
        inside.copy(client, to_id(client, "instance", instance), file, path, mode)


def _id_of(named: str, region: str | None) -> str:
    """The ID of an instance whose console is wanted; a whole one needs no service."""
    if is_id("instance", named):
        return named
    with open_client(region) as client:
        return to_id(client, "instance", named)
