"""What is kept of an image, a snapshot or a disk that is removed, so that ``kiln trash restore`` can put it back.

Asked in the transaction that removes it, before that. It says, too, that somebody wanted it gone, which the pool's
records only know when they are written anew. Without a grace it is forgotten with the next sweep.
"""

from __future__ import annotations

from typing import Any

from kiln.calls.call import Ports
from kiln.declare.states import USABLE, SnapshotStatus
from kiln.store import trash
from kiln.store.database import Transaction
from kiln.store.disks import Disk
from kiln.store.images import Image, image_disks
from kiln.store.resources import KINDS
from kiln.store.snapshots import Snapshot
from kiln.store.tags import tags


def keep_image(tx: Transaction, ports: Ports, image: Image) -> None:
    """Keep an image with its disks and tags. One that was never usable is no loss."""
    if image.status in USABLE:
        made_of = [image_disks.to_values(disk) for disk in image_disks.all(tx, image=image.id)]
        _keep(tx, ports, "image", image, {"image_disks": made_of})


def keep_snapshot(tx: Transaction, ports: Ports, snapshot: Snapshot) -> None:
    """Keep a snapshot with its tags. One that has captured nothing is no loss."""
    if snapshot.status == SnapshotStatus.ACCOMPLISHED:
        _keep(tx, ports, "snapshot", snapshot, {})


def keep_disk(tx: Transaction, ports: Ports, disk: Disk) -> None:
    """Keep a disk with its tags. One that was never made is no loss."""
    if disk.volume is not None:
        _keep(tx, ports, "disk", disk, {})


def _keep(tx: Transaction, ports: Ports, noun: str, row: Any, rows: dict[str, list[dict[str, Any]]]) -> None:
    own = [tags.to_values(tag) for tag in tags.all(tx, resource_type=noun, resource=row.id)]
    rows |= {f"{noun}s": [KINDS[noun].to_values(row)], "tags": own}
    trash.bury(tx, noun, row, rows, ports.clock())
