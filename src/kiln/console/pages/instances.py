"""Instances: their machines on and off, what their consoles have printed, and images made of them."""

from __future__ import annotations

import base64

from kiln.console.nouns import detail, family
from kiln.console.nouns.noun import Does, Noun
from kiln.console.visit import Page, Shown, Visit

INSTANCES = Noun(
    name="instances",
    action="DescribeInstances",
    id="InstanceId",
    asks="InstanceIds",
    called="InstanceName",
    state="Status",
    columns=("InstanceId", "InstanceName", "Status", "InstanceType", "ImageId", "PublicIpAddress", "CreationTime"),
    filters=("InstanceName", "InstanceIds", "Status", "ImageId", "VpcId", "InstanceType"),
    makes=(
        Does(
            action="RunInstances",
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
        ),
        Does(action="ReplaceSystemDisk", first=("ImageId", "KeyPairName", "Password"), states=("Stopped",)),
        Does(
            action="ModifyInstanceAttribute",
            asked=("InstanceName", "Description", "HostName", "DeletionProtection", "SecurityGroupIds"),
        ),
        Does(action="DeleteInstance", first=("Force",), is_grave=True, leaves=True),
    ),
)


def show_output(visit: Visit) -> Shown:
    """What the serial console has printed."""
    row = detail.find(INSTANCES, visit, visit.args["id"])
    answer = visit.call("GetInstanceConsoleOutput", InstanceId=row["InstanceId"], RemoveSymbols=True)
    return {
        "id": row["InstanceId"],
        "name": row["InstanceName"],
        "output": base64.b64decode(answer["ConsoleOutput"]).decode(errors="replace"),
        "at": answer["LastUpdateTime"],
    }


PAGES: tuple[Page, ...] = (
    *family.pages(INSTANCES),
    Page(at="/instances/{id}/output", run=show_output, template="output.html"),
)
