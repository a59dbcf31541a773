"""Deleting a snapshot: what stands in its way, and what goes with it."""

from __future__ import annotations

from collections.abc import Sequence

from kiln.calls.call import Ports
from kiln.declare.errors import ApiError
from kiln.operations.steps import tombs
from kiln.store import tags
from kiln.store.database import Transaction
from kiln.store.disks import Disk
from kiln.store.snapshots import Snapshot, made, snapshots, stood_on


class SnapshotCreatedImage(ApiError):
    """An image stands on the snapshot."""

    code = "SnapshotCreatedImage"
    status = 403
    message = "The snapshot has been used to create user defined image(s)."
    hint = "Delete the image first. `kiln image list --snapshot SNAPSHOT` lists the images."


class SnapshotCreatedDisk(ApiError):
    """A disk was made of the snapshot, and Force is not set."""

    code = "SnapshotCreatedDisk"
    status = 403
    message = "The snapshot has been used to create disk(s)."
    hint = "`kiln snapshot delete SNAPSHOT --force` deletes it all the same; the disk keeps its bytes."


def refusals(tx: Transaction, ids: Sequence[str], *, force: bool = False) -> dict[str, ApiError]:
    """Why snapshots cannot be deleted; of those that can be nothing. *force* deletes what disks were made of, too."""
    stands, used = stood_on(tx, ids), made(tx, ids)
    refused: dict[str, ApiError] = {}
    for snapshot in ids:
        if snapshot in stands:
            refused[snapshot] = SnapshotCreatedImage(snapshot_id=snapshot)
        elif used[snapshot][1] and not force:
            refused[snapshot] = SnapshotCreatedDisk(snapshot_id=snapshot)
    return refused


def delete(tx: Transaction, ports: Ports, snapshot: Snapshot) -> None:
    """Delete a snapshot that nothing stands in the way of."""
    # A capture that is under way completes without its snapshot: cutting it short would have to be
    # made safe at every line, and it lasts milliseconds. What it captured has no name then.
    tombs.keep_snapshot(tx, ports, snapshot)
    snapshots.delete(tx, id=snapshot.id)
    tags.drop(tx, "snapshot", snapshot.id)


def delete_automatic(tx: Transaction, ports: Ports, disk: Disk) -> None:
    """Of a disk that goes with its automatic snapshots, delete those that nothing stands in the way of."""
    if not disk.drops_auto_snapshots:
        return
    found = snapshots.all(tx, snapshots.c.snapshot_policy != "", source_disk=disk.id)
    kept = refusals(tx, [one.id for one in found])
    for one in found:
        if one.id not in kept:
            delete(tx, ports, one)
