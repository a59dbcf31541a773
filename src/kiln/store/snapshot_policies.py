"""Policies for automatic snapshots: at which hours of which days they are taken, and for how long they are kept.

A disk names its policy. Hours and days are told in UTC+8, as the API has them,
wherever the region is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Index, func, or_, select

from kiln.ground.units import DAY_S
from kiln.ground.values import dataclass
from kiln.store.database import Transaction
from kiln.store.disks import Disk, disks
from kiln.store.order import Order, newest_first
from kiln.store.rows import Recorded, Rows

FOR_GOOD = -1  #: The retention of what is not deleted by itself.

HOUR_S = 3600

_AHEAD_S = 8 * HOUR_S  #: Of UTC.
_EPOCH_DAY = 4  #: 1970-01-01 was a Thursday; a Monday is 1.
_WEEK = 7


@dataclass(frozen=True, kw_only=True)
class SnapshotPolicy:
    """One policy. Empty text means: not given."""

    id: str
    account: str
    region: str
    name: str
    hours: str  #: ``0,12``: full hours of the day, in order.
    weekdays: str  #: ``1,7``: Monday and Sunday, in order.
    retention_days: int  #: -1: for good.
    resource_group: str
    created_at: float
    changed_at: float  #: When its hours or days were said last: what was due before is not made up for.

    def is_due_in(self, hour: float) -> bool:
        """Whether it has snapshots taken at the full hour that begins at *hour*, in seconds since the epoch."""
        day, second = divmod(int(hour) + _AHEAD_S, DAY_S)
        weekday = (day + _EPOCH_DAY - 1) % _WEEK + 1
        return str(second // HOUR_S) in self.hours.split(",") and str(weekday) in self.weekdays.split(",")


snapshot_policies: Rows[SnapshotPolicy] = Rows(
    "snapshot_policies",
    SnapshotPolicy,
    recorded=Recorded("snapshotpolicy"),
    indexes=[Index("snapshot_policies_list", "account", "region", "created_at", "id")],
)

NEWEST: Order = newest_first(snapshot_policies.c)


def count_disks(tx: Transaction, ids: Sequence[str]) -> dict[str, int]:
    """How many disks have each of the policies."""
    statement = select(disks.c.snapshot_policy, func.count()).where(disks.c.snapshot_policy.in_(ids))
    rows: Any = tx.execute(statement.group_by(disks.c.snapshot_policy))
    found = dict(tuple(row) for row in rows)
    return {policy: found.get(policy, 0) for policy in ids}


def due_in(tx: Transaction, hour: float) -> list[SnapshotPolicy]:
    """The policies that have snapshots taken at the full hour that begins at *hour*."""
    changed_before = snapshot_policies.all(tx, _is_behind(snapshot_policies.c.changed_at, hour))
    return [policy for policy in changed_before if policy.is_due_in(hour)]


def awaiting(tx: Transaction, policy: SnapshotPolicy, hour: float) -> list[Disk]:
    """The disks of which the policy has a snapshot still to be taken for *hour*."""
    is_behind = _is_behind(disks.c.snapshots_until, hour)
    return disks.all(tx, is_behind, snapshot_policy=policy.id, ignores_policy=False)


def _is_behind(until: ColumnElement[float], hour: float) -> ColumnElement[bool]:
    """Whether what was done until a time was done before *hour*.

    What is hours ahead was done before the clock was set back; by its time nothing would be done for as long.
    """
    return or_(until < hour, until > hour + 2 * HOUR_S)
