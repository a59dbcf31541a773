"""Instances: their machines on and off, what their consoles have printed, and images made of them."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from kiln.client.catalogue import DEFAULT_INSTANCE_TYPE
from kiln.console.nouns import detail, family
from kiln.console.nouns.noun import Does, Noun
from kiln.console.nouns.trash import tell_of_trash
from kiln.console.visit import Page, Shown, Visit, Way
from kiln.console.wording import disk_type

_DISKS = 100  #: An instance has 17 at most.


def tell_of_capture(visit: Visit, row: Mapping[str, Any]) -> list[str]:
    """Which disks an image of the instance will have, and how consistent they are to be expected."""
    id = row["InstanceId"]  # noqa: A001 - it is what the API calls it.
    disks = visit.call("DescribeDisks", InstanceId=id, PageSize=_DISKS)["Disks"]["Disk"]
    told = [
        visit.texts("capture.disk", device=one["Device"], size=one["Size"], type=disk_type(visit.texts, one["Type"]))
        for one in disks
    ]
    if row["Status"] == "Stopped":
        return [*told, visit.texts("capture.stopped")]
    agents = visit.call("DescribeCloudAssistantStatus", {"InstanceId.1": id})
    (agent,) = agents["InstanceCloudAssistantStatusSet"]["InstanceCloudAssistantStatus"]
    has_agent = agent["CloudAssistantStatus"] == "true"
    return [*told, visit.texts("capture.quiesced" if has_agent else "capture.crash_consistent")]


INSTANCES = Noun(
    name="instances",
    action="DescribeInstances",
    id="InstanceId",
    asks="InstanceIds",
    called="InstanceName",
    state="Status",
    columns=("InstanceId", "InstanceName", "Status", "InstanceType", "ImageId", "PublicIpAddress", "CreationTime"),
    filters=("InstanceName", "InstanceIds", "Status", "ImageId", "VpcId", "InstanceType"),
    views=(
        Way("/instances/{id}/terminal", "terminal.title"),
        Way("/instances/{id}/output", "output.title"),
        Way("/lineage/{id}", "lineage.title"),
    ),
    makes=(
        Does(
            action="RunInstances",
            suggested={"InstanceType": DEFAULT_INSTANCE_TYPE},
            first=("ImageId", "InstanceType", "InstanceName", "Amount", "KeyPairName", "Password"),
            made="InstanceIdSets.InstanceIdSet",
        ),
    ),
    does=(
        Does(action="StartInstance", states=("Stopped",), is_plain=True),
        Does(action="StopInstance", states=("Running",), first=("ForceStop",)),
        Does(action="RebootInstance", states=("Running",), first=("ForceStop",)),
        Does(
            action="CreateImage",
            first=("ImageName", "ImageFamily", "Description"),
            states=("Running", "Stopped"),
            made="ImageId",
            tells=tell_of_capture,
        ),
        Does(action="ReplaceSystemDisk", first=("ImageId", "KeyPairName", "Password"), states=("Stopped",)),
        Does(
            action="ModifyInstanceAttribute",
            asked=("InstanceName", "Description", "HostName", "DeletionProtection", "SecurityGroupIds"),
        ),
        Does(action="DeleteInstance", first=("Force",), is_grave=True, leaves=True, tells=tell_of_trash),
    ),
)


def show(noun: Noun, visit: Visit) -> Shown:
    """An instance and its disks."""
    shown = detail.show(noun, visit)
    return {**shown, "disks": visit.call("DescribeDisks", InstanceId=shown["id"], PageSize=_DISKS)["Disks"]["Disk"]}


def show_output(visit: Visit) -> Shown:
    """What the serial console has printed."""
    row = detail.find(INSTANCES, visit, visit.args["id"])
    answer = visit.call("GetInstanceConsoleOutput", InstanceId=row["InstanceId"], RemoveSymbols=True)
    output = base64.b64decode(answer["ConsoleOutput"]).decode(errors="replace")
    return {
        "id": row["InstanceId"],
        "name": row["InstanceName"],
        # Firmware clears its screen by empty lines, more of them than the page shows at once.
        "output": output.lstrip("\r\n"),
        "at": answer["LastUpdateTime"],
    }


PAGES: tuple[Page, ...] = (
    *family.pages(INSTANCES, show=show, one="instance.html"),
    Page(at="/instances/{id}/output", run=show_output, template="output.html"),
)
