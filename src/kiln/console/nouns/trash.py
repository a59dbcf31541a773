"""What is said before and after something is deleted that can be had back: the API has no word for it, `kiln` has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kiln.console.visit import Visit

_IDS = ("ImageId", "SnapshotId", "DiskId")


def tell_of_trash(visit: Visit, row: Mapping[str, Any]) -> list[str]:
    """How an image, a snapshot, a disk is had back; of an instance, its disks."""
    if "InstanceType" in row:
        return [visit.texts("trash.of_instance")]
    return [visit.texts("trash.of_one", id=next(str(row[name]) for name in _IDS if name in row))]
