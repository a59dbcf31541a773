"""Snapshots: instants of disks, and the images that are made of them."""

from __future__ import annotations

from kiln.console.nouns import family
from kiln.console.nouns.noun import Does, Noun
from kiln.console.nouns.trash import tell_of_trash
from kiln.console.visit import Page, Way

SNAPSHOTS = Noun(
    name="snapshots",
    action="DescribeSnapshots",
    id="SnapshotId",
    asks="SnapshotIds",
    called="SnapshotName",
    state="Status",
    progress="Progress",
    columns=(
        "SnapshotId",
        "SnapshotName",
        "Status",
        "SourceDiskId",
        "SourceDiskType",
        "SourceDiskSize",
        "CreationTime",
    ),
    filters=("SnapshotName", "SnapshotIds", "Status", "DiskId", "InstanceId", "SnapshotType", "SourceDiskType"),
    views=(Way("/lineage/{id}", "lineage.title"),),
    does=(
        Does(
            action="CreateImage",
            first=("ImageName", "ImageFamily", "Description"),
            states=("accomplished",),
            made="ImageId",
        ),
        Does(action="CreateDisk", first=("ZoneId", "DiskName", "Size"), states=("accomplished",), made="DiskId"),
        Does(
            action="CopySnapshot",
            first=("DestinationRegionId", "DestinationSnapshotName"),
            states=("accomplished",),
        ),
        Does(action="ModifySnapshotAttribute", asked=("SnapshotName", "Description")),
        Does(action="DeleteSnapshot", first=("Force",), is_grave=True, leaves=True, tells=tell_of_trash),
    ),
)

PAGES: tuple[Page, ...] = tuple(family.pages(SNAPSHOTS))
