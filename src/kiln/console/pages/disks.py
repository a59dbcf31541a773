"""Disks: what they hang on, what they were made of, and snapshots taken of them."""

from __future__ import annotations

from kiln.console.nouns import family
from kiln.console.nouns.noun import Does, Noun
from kiln.console.nouns.trash import tell_of_trash
from kiln.console.visit import Page, Way

DISKS = Noun(
    name="disks",
    action="DescribeDisks",
    id="DiskId",
    asks="DiskIds",
    called="DiskName",
    state="Status",
    columns=("DiskId", "DiskName", "Status", "Type", "Size", "Category", "InstanceId", "Device", "CreationTime"),
    filters=("DiskName", "DiskIds", "Status", "DiskType", "InstanceId", "SnapshotId"),
    views=(Way("/lineage/{id}", "lineage.title"),),
    makes=(Does(action="CreateDisk", first=("ZoneId", "Size", "DiskName", "SnapshotId")),),
    does=(
        Does(
            action="CreateSnapshot",
            first=("SnapshotName", "Description"),
            states=("In_use", "Available"),
            made="SnapshotId",
        ),
        Does(action="AttachDisk", first=("InstanceId", "DeleteWithInstance"), states=("Available",)),
        Does(
            action="DetachDisk",
            given_by={"DiskId": "DiskId", "InstanceId": "InstanceId"},
            states=("In_use",),
        ),
        Does(action="ResizeDisk", first=("NewSize", "Type")),
        Does(
            action="ModifyDiskAttribute",
            asked=("DiskName", "Description", "DeleteWithInstance", "EnableAutoSnapshot"),
        ),
        Does(action="ReInitDisk", states=("In_use", "Available"), first=("AutoStartInstance",), is_grave=True),
        Does(action="ResetDisk", first=("SnapshotId",), is_grave=True),
        Does(action="DeleteDisk", states=("Available",), is_grave=True, leaves=True, tells=tell_of_trash),
    ),
)

PAGES: tuple[Page, ...] = tuple(family.pages(DISKS))
