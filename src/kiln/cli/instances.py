"""``kiln instance``: run, look at, stop and change instances."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from kiln.cli import console, output
from kiln.cli.grammar import (
    DEFAULT_TIMEOUT_S,
    Data,
    DryRun,
    Json,
    Region,
    Tags,
    Timeout,
    Wait,
    example,
    group,
    to_parts,
    to_tags,
    without_empty,
)
from kiln.cli.output import Column
from kiln.cli.session import find_data_folder, open_client
from kiln.cli.several import end, try_each
from kiln.cli.waiting import wait, wait_for_outcome
from kiln.client import waiters

app = group()

#: Small enough for a laptop, large enough for any distribution: 1 CPU, 1 GiB.
DEFAULT_TYPE = "ecs.t5-lc1m1.small"


def _addresses(row: Mapping[str, Any]) -> list[str]:
    public: list[str] = row.get("PublicIpAddress", {}).get("IpAddress", [])
    return public


COLUMNS = (
    Column("INSTANCE", "InstanceId"),
    Column("NAME", "InstanceName"),
    Column("STATUS", "Status"),
    Column("TYPE", "InstanceType"),
    Column("IMAGE", "ImageId"),
    Column("PUBLIC IP", _addresses),
    Column("CREATED", "CreationTime"),
)

_DATA_DISK = {
    "size": "Size",
    "snapshot": "SnapshotId",
    "category": "Category",
    "name": "DiskName",
    "device": "Device",
}

Instance = Annotated[str, typer.Argument(help="The ID of the instance.", metavar="INSTANCE")]
Instances = Annotated[list[str], typer.Argument(help="The IDs of the instances.", metavar="INSTANCE")]
OfImage = Annotated[
    str | None, typer.Option("--image", help="The ID of the image that it starts from.", metavar="IMAGE")
]
OfFamily = Annotated[
    str | None, typer.Option("--family", help="Instead: the newest image of this family.", metavar="FAMILY")
]
Type = Annotated[
    str, typer.Option("--type", help="The instance type; `kiln call DescribeInstanceTypes` lists them.", metavar="TYPE")
]
Name = Annotated[str | None, typer.Option("--name", help="The instance's name.", metavar="NAME")]
Amount = Annotated[int, typer.Option("--count", min=1, max=100, help="How many to run.", metavar="N")]
SystemSize = Annotated[
    int | None, typer.Option("--size", metavar="GIB", help="The system disk's size; the image's when not given.")
]
DataDisks = Annotated[
    list[str] | None,
    typer.Option("--data-disk", metavar="SPEC", help="One more disk each time: size=GIB,snapshot=ID,device=NAME."),
]
PublicIp = Annotated[
    bool, typer.Option("--public-ip/--no-public-ip", help="Whether it gets an address to reach it at.")
]
UserData = Annotated[
    Path | None,
    typer.Option(
        "--user-data",
        metavar="FILE",
        exists=True,
        dir_okay=False,
        help="What cloud-init is to find in the guest. Remembered; nothing hands it to the guest yet.",
    ),
]
NewImage = Annotated[
    str, typer.Option("--image", help="The ID of the image that the new system disk is made of.", metavar="IMAGE")
]
ForceStop = Annotated[bool, typer.Option("--force", help="Cut the power instead of asking the guest.")]
ForceDelete = Annotated[bool, typer.Option("--force", help="Also when it runs.")]
Follow = Annotated[bool, typer.Option("--follow", "-f", help="Go on showing what comes, until Ctrl-C.")]
Raw = Annotated[bool, typer.Option("--raw", help="Show terminal control sequences as they are; they command yours.")]
Attach = Annotated[
    bool, typer.Option("--attach", help="Type into it as well, on the service's machine. Ctrl-] leaves.")
]


@app.command("run", epilog=example("kiln instance run --image m-bp146shijn7hujku8a5c --name web-1"))
def run_instances(
    *,
    image: OfImage = None,
    family: OfFamily = None,
    instance_type: Type = DEFAULT_TYPE,
    name: Name = None,
    count: Amount = 1,
    size: SystemSize = None,
    data_disk: DataDisks = None,
    public_ip: PublicIp = True,
    user_data: UserData = None,
    tag: Tags = None,
    dry_run: DryRun = False,
    region: Region = None,
    wait_for_it: Wait = True,
    timeout: Timeout = DEFAULT_TIMEOUT_S,
    as_json: Json = False,
) -> None:
    """Make instances of an image, start them, and print their IDs."""
    if bool(image) == bool(family):
        raise typer.BadParameter("give either --image or --family")
    params = {
        "ImageId": image,
        "ImageFamily": family,
        "InstanceType": instance_type,
        "InstanceName": name,
        "Amount": count,
        "SystemDisk": {"Size": size} if size else None,
        "DataDisk": [to_parts(spec, _DATA_DISK) for spec in data_disk or ()],
        "InternetMaxBandwidthOut": 100 if public_ip else None,
        "UserData": base64.b64encode(user_data.read_bytes()).decode() if user_data else None,
        "Tag": to_tags(tag),
        "DryRun": dry_run,
    }
    with open_client(region) as client:
        answer = client.call("RunInstances", without_empty(params))
        made = answer["InstanceIdSets"]["InstanceIdSet"]
        for instance in made if wait_for_it else ():
            wait_for_outcome(client, "RunInstances", "instance", instance, timeout)
        output.show_made(answer, *made, as_json=as_json)


@app.command("list", epilog=example("kiln instance list --status Running"))
def list_instances(
    *,
    status: Annotated[
        str | None, typer.Option("--status", help="Only instances in this state.", metavar="STATUS")
    ] = None,
    image: Annotated[
        str | None, typer.Option("--image", help="Only instances made of this image.", metavar="IMAGE")
    ] = None,
    region: Region = None,
    as_json: Json = False,
) -> None:
    """List instances, the newest first."""
    params = without_empty({"Status": status, "ImageId": image})
    with open_client(region) as client:
        output.show_rows(client.rows("DescribeInstances", params), COLUMNS, as_json=as_json)


@app.command("show", epilog=example("kiln instance show i-bp1g6zv0ce8oghu7k2d3"))
def show_instance(instance: Instance, *, region: Region = None, as_json: Json = False) -> None:
    """Show all that is known of an instance."""
    with open_client(region) as client:
        output.show_found(waiters.find(client, "instance", instance), f"instance {instance}", as_json=as_json)


@app.command("start", epilog=example("kiln instance start i-bp1g6zv0ce8oghu7k2d3"))
def start_instances(
    instances: Instances,
    *,
    region: Region = None,
    wait_for_it: Wait = True,
    timeout: Timeout = DEFAULT_TIMEOUT_S,
    as_json: Json = False,
) -> None:
    """Start stopped instances."""
    _each("StartInstance", instances, {}, "Running" if wait_for_it else "", timeout, region=region, as_json=as_json)


@app.command("stop", epilog=example("kiln instance stop i-bp1g6zv0ce8oghu7k2d3"))
def stop_instances(
    instances: Instances,
    *,
    force: ForceStop = False,
    region: Region = None,
    wait_for_it: Wait = True,
    timeout: Timeout = DEFAULT_TIMEOUT_S,
    as_json: Json = False,
) -> None:
    """Stop running instances: the guest is asked to power off, and cut off if it does not."""
    more = without_empty({"ForceStop": force})
    _each("StopInstance", instances, more, "Stopped" if wait_for_it else "", timeout, region=region, as_json=as_json)


@app.command("reboot", epilog=example("kiln instance reboot i-bp1g6zv0ce8oghu7k2d3"))
def reboot_instances(
    instances: Instances,
    *,
    force: ForceStop = False,
    region: Region = None,
    wait_for_it: Wait = True,
    timeout: Timeout = DEFAULT_TIMEOUT_S,
    as_json: Json = False,
) -> None:
    """Restart the guests of running instances."""
    more = without_empty({"ForceStop": force})
    _each("RebootInstance", instances, more, "Running" if wait_for_it else "", timeout, region=region, as_json=as_json)


@app.command("delete", epilog=example("kiln instance delete i-bp1g6zv0ce8oghu7k2d3 --force"))
def delete_instances(
    instances: Instances,
    *,
    force: ForceDelete = False,
    region: Region = None,
    wait_for_it: Wait = True,
    timeout: Timeout = DEFAULT_TIMEOUT_S,
    as_json: Json = False,
) -> None:
    """Delete instances, with the disks that were made to go with them."""
    until = None if wait_for_it else ""
    more = without_empty({"Force": force})
    _each("DeleteInstance", instances, more, until, timeout, region=region, as_json=as_json)


@app.command(
    "replace-system-disk",
    epilog=example("kiln instance replace-system-disk i-bp1g6zv0ce8oghu7k2d3 --image m-bp146shijn7hujku8a5c"),
)
def replace_system_disk(
    instance: Instance,
    *,
    image: NewImage,
    size: SystemSize = None,
    region: Region = None,
    wait_for_it: Wait = True,
    timeout: Timeout = DEFAULT_TIMEOUT_S,
    as_json: Json = False,
) -> None:
    """Give a stopped instance a new system disk made of an image, and print the disk's ID. The old disk is deleted."""
    with open_client(region) as client:
        params = {"InstanceId": instance, "ImageId": image, "SystemDisk": {"Size": size} if size else None}
        answer = client.call("ReplaceSystemDisk", without_empty(params))
        if wait_for_it:
            wait(client, "disk", answer["DiskId"], "In_use", timeout)
        output.show_made(answer, answer["DiskId"], as_json=as_json)


@app.command("console", epilog=example("kiln instance console i-bp1g6zv0ce8oghu7k2d3 --follow"))
def show_console(
    instance: Instance,
    *,
    follow: Follow = False,
    raw: Raw = False,
    attach: Attach = False,
    data: Data = None,
    region: Region = None,
) -> None:
    """Show what an instance has printed on its serial console: the last 64 KiB of it."""
    if attach:
        console.attach(find_data_folder(data), instance)
        return
    with open_client(region) as client:
        console.show(client, instance, follow=follow, raw=raw)


def _each(
    action: str,
    instances: list[str],
    more: dict[str, Any],
    until: str | None,
    timeout_s: float,
    *,
    region: str | None,
    as_json: bool,
) -> None:
    """Call *action* for every instance, then wait for each: until it is *until*, or gone (None), or not at all ("")."""
    with open_client(region) as client:
        answers, refused = try_each(instances, lambda it: client.call(action, {"InstanceId": it, **more}))
        begun = answers if until != "" else ()
        _, failed = try_each(begun, lambda it: wait(client, "instance", it, until, timeout_s))
    output.show_made(list(answers.values()), as_json=as_json)
    end(refused, failed)
