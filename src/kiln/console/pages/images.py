"""Images: where they come from, who has them, and what can be made of them."""

from __future__ import annotations

from kiln.console.nouns import family
from kiln.console.nouns.noun import Does, Noun, Tab
from kiln.console.visit import Page

_READY = ("Available", "Deprecated")

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
    tab_by="ImageOwnerAlias",
    tabs=(Tab("self", "self"), Tab("others", "others"), Tab("system", "system")),
    makes=(
        Does(
            action="CreateImage",
            first=("InstanceId", "SnapshotId", "ImageName", "ImageFamily", "Description"),
        ),
        Does(
            action="ImportImage",
            first=("ImageName", "DiskDeviceMapping", "OSType", "Architecture", "Platform"),
        ),
    ),
    does=(
        Does(
            action="RunInstances",
            given_by={"ImageId": "ImageId"},
            first=("InstanceType", "InstanceName", "Amount", "KeyPairName", "Password", "InternetMaxBandwidthOut"),
            states=_READY,
            made="InstanceIdSets.InstanceIdSet",
        ),
        Does(action="CopyImage", first=("DestinationRegionId", "DestinationImageName"), states=_READY),
        Does(action="ExportImage", first=("OSSBucket", "OSSPrefix", "ImageFormat"), states=_READY),
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
        Does(action="DeleteImage", first=("Force",), is_grave=True, leaves=True),
    ),
)

PAGES: tuple[Page, ...] = tuple(family.pages(IMAGES))
