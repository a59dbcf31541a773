"""Images: where they come from, who has them, and what can be made of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kiln.client.catalogue import DEFAULT_INSTANCE_TYPE
from kiln.console.nouns import detail, family
from kiln.console.nouns.noun import Does, Noun, Tab
from kiln.console.nouns.trash import tell_of_trash
from kiln.console.recipes import Recipe, by_packer, of_request
from kiln.console.visit import Page, Shown, Visit, Way

_READY = ("Available", "Deprecated")


def _tell_of_files(visit: Visit, _row: Mapping[str, Any]) -> list[str]:
    """Where a file of the visitor's own is brought in; whom that page has sent here needs no such word."""
    if any(name.endswith("OSSBucket") and value for name, value in (*visit.asked.query, *visit.asked.form)):
        return []
    return [visit.texts("files.first")]


IMAGES = Noun(
    name="images",
    action="DescribeImages",
    id="ImageId",
    asks="ImageId",
    called="ImageName",
    state="Status",
    progress="Progress",
    columns=("ImageId", "ImageName", "Status", "Size", "ImageFamily", "Platform", "Usage", "Tags", "CreationTime"),
    filters=("ImageName", "ImageId", "ImageFamily", "Status", "OSType", "Architecture", "Usage"),
    fixed={"Status": "ALL"},
    begins="ImportImage",
    teaches=Way("/files", "overview.bring"),
    tab_by="ImageOwnerAlias",
    tabs=(Tab("self", "self"), Tab("others", "others"), Tab("system", "system")),
    views=(Way("/lineage/{id}", "lineage.title"),),
    makes=(
        Does(
            action="CreateImage",
            first=("InstanceId", "SnapshotId", "ImageName", "ImageFamily", "Description"),
        ),
        Does(
            action="ImportImage",
            first=("ImageName", "DiskDeviceMapping", "OSType", "Architecture", "Platform"),
            tells=_tell_of_files,
        ),
    ),
    does=(
        Does(
            action="RunInstances",
            given_by={"ImageId": "ImageId"},
            suggested={"InstanceType": DEFAULT_INSTANCE_TYPE},
            first=("InstanceType", "InstanceName", "Amount", "KeyPairName", "Password", "InternetMaxBandwidthOut"),
            states=_READY,
            made="InstanceIdSets.InstanceIdSet",
        ),
        Does(action="CopyImage", first=("DestinationRegionId", "DestinationImageName"), states=_READY),
        Does(action="ExportImage", made="TaskId", first=("OSSBucket", "OSSPrefix", "ImageFormat"), states=_READY),
        Does(action="ModifyImageAttribute", asked=("ImageName", "ImageFamily", "Description", "BootMode")),
        Does(action="ModifyImageSharePermission", asked=("AddAccount", "RemoveAccount"), states=_READY),
        Does(
            action="ModifyImageAttribute",
            name="Deprecate",
            fixed={"Status": "Deprecated"},
            asked=(),
            states=("Available",),
        ),
        Does(
            action="ModifyImageAttribute",
            name="Reinstate",
            fixed={"Status": "Available"},
            asked=(),
            states=("Deprecated",),
        ),
        Does(action="CancelCopyImage", states=("Creating",), is_grave=True),
        Does(action="DeleteImage", first=("Force",), is_grave=True, leaves=True, tells=tell_of_trash),
    ),
)

_USERS = 20


def show(noun: Noun, visit: Visit) -> Shown:
    """An image, who runs on it, and whom it is shared with."""
    shown = detail.show(noun, visit)
    running = visit.call("DescribeInstances", ImageId=shown["id"], PageSize=_USERS)
    is_own = next(fact.cell.text for fact in shown["facts"] if fact.name == "ImageOwnerAlias") == "self"
    shares = visit.call("DescribeImageSharePermission", ImageId=shown["id"])["Accounts"]["Account"] if is_own else []
    asked = {"ImageId": shown["id"], "Status": "ALL"}
    recipes = of_request(visit.catalogue.action(noun.action), asked, visit.signed.region)
    return {
        **shown,
        "users": running["Instances"]["Instance"],
        "users_total": running["TotalCount"],
        "shares": [one["AliyunId"] for one in shares],
        "recipes": [*recipes, Recipe("Packer", by_packer(shown["id"], visit.signed.region))],
    }


PAGES: tuple[Page, ...] = tuple(family.pages(IMAGES, show=show, one="image.html"))
