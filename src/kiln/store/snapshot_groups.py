"""Snapshot-consistent groups: snapshots of several disks of an instance, all of one instant.

A snapshot names its group. What the group's status is, its snapshots say.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import ColumnElement, Index, exists, or_, select

from kiln.declare.states import SnapshotStatus
from kiln.ground.values import dataclass
from kiln.store.database import Transaction
from kiln.store.order import Order, newest_first
from kiln.store.rows import Recorded, Rows
from kiln.store.snapshots import Snapshot, snapshots


@dataclass(frozen=True, kw_only=True)
class SnapshotGroup:
    """One group. Empty text means: not given."""

    id: str
    account: str
    region: str
    name: str
    description: str
    instance: str  #: Whose disks they were.
    resource_group: str
    created_at: float


snapshot_groups: Rows[SnapshotGroup] = Rows(
    "snapshot_groups",
    SnapshotGroup,
    recorded=Recorded("snapshotgroup"),
    indexes=[Index("snapshot_groups_list", "account", "region", "created_at", "id")],
)

NEWEST: Order = newest_first(snapshot_groups.c)


def members(tx: Transaction, ids: Sequence[str]) -> dict[str, list[Snapshot]]:
    """The snapshots of each group: the system disk's first, and then by device."""
    found: dict[str, list[Snapshot]] = {group: [] for group in ids}
    for row in snapshots.among(tx, "snapshot_group", ids):
        found[row.snapshot_group].append(row)
    for own in found.values():
        own.sort(key=lambda row: (row.source_disk_type != "system", row.device, row.id))
    return found


def status_of(own: Sequence[Snapshot]) -> SnapshotStatus:
    """The status of a group with these snapshots. One whose snapshots were all deleted is accomplished."""
    present = {row.status for row in own}
    for status in (SnapshotStatus.PROGRESSING, SnapshotStatus.FAILED):
        if status in present:
            return status
    return SnapshotStatus.ACCOMPLISHED


def in_status(wanted: Sequence[str]) -> ColumnElement[bool]:
    """The condition that a group's status, as ``status_of`` has it, is one of these."""
    progresses, failed = _has(SnapshotStatus.PROGRESSING), _has(SnapshotStatus.FAILED)
    ways = {
        SnapshotStatus.PROGRESSING: progresses,
        SnapshotStatus.FAILED: ~progresses & failed,
        SnapshotStatus.ACCOMPLISHED: ~progresses & ~failed,
    }
    return or_(*(ways[SnapshotStatus(one)] for one in wanted))


def _has(status: SnapshotStatus) -> ColumnElement[bool]:
    matching = select(snapshots.c.id).where(
        snapshots.c.snapshot_group == snapshot_groups.c.id, snapshots.c.status == status
    )
    return exists(matching.correlate(snapshot_groups.table))
