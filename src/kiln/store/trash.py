"""What was deleted and waits: volumes in the pool's trash, and the rows of images, snapshots and disks.

How long something has waited is told in seconds during which Kiln served, which
are counted here, and not by the time of day: a clock that is set a day forward
ends nobody's grace, and neither does a Kiln that stood still over the weekend.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Index, or_, select

from kiln.declare.facts import UnreadableFacts, parse
from kiln.declare.states import TaskStatus
from kiln.ground.values import dataclass
from kiln.store.database import Transaction
from kiln.store.rows import Rows
from kiln.store.tasks import tasks

RESTORE = "RestoreTrash"  #: The task that brings something back.

_VERSION = 1  #: Of the JSON in a tombstone.
_COUNTER, _GRACE = "kiln", "grace"


@dataclass(frozen=True, kw_only=True)
class Discard:
    """One volume in the trash: what its row said, and since when it is there."""

    id: str
    parent: str | None
    kind: str
    size_bytes: int
    file_bytes: int | None
    discarded_at: float  #: By the time of day, for people.
    served: float  #: By ``served_seconds``.
    is_leaving: bool = False  #: It is being given back for good, and cannot be restored any more.


@dataclass(frozen=True, kw_only=True)
class Tombstone:
    """One image, snapshot or disk that was deleted, with what it takes to make it again."""

    id: str
    noun: str  #: ``image``, ``snapshot`` or ``disk``.
    account: str
    region: str
    name: str
    rows: str  #: JSON: a version, and by table the rows that were removed.
    deleted_at: float  #: By the time of day, for people.
    served: float

    def of(self, table: str) -> list[dict[str, Any]]:
        """The removed rows of one table. Raises UnknownTombstone."""
        facts = json.loads(self.rows)
        if facts.get("version") != _VERSION:
            raise UnknownTombstone(self.id)
        rows: list[dict[str, Any]] = facts["rows"].get(table, [])
        return rows


@dataclass(frozen=True, kw_only=True)
class ServiceTime:
    """``kiln``: how many seconds Kiln has served while something waited in the trash. ``grace``: its setting."""

    id: str
    seconds: float


class UnknownTombstone(Exception):
    """A newer Kiln wrote the tombstone, in a form that this one does not know."""


discards: Rows[Discard] = Rows("discards", Discard, indexes=[Index("discards_served", "served")])
tombstones: Rows[Tombstone] = Rows("tombstones", Tombstone, indexes=[Index("tombstones_served", "served")])
service_time: Rows[ServiceTime] = Rows("service_time", ServiceTime)


def served_seconds(tx: Transaction) -> float:
    """How long Kiln has served, as far as it was counted."""
    row = service_time.find(tx, id=_COUNTER)
    return 0.0 if row is None else row.seconds


def count_on(tx: Transaction, seconds: float, grace: float) -> None:
    """Count seconds that were served, and note the grace that the service has."""
    for name, value in ((_COUNTER, served_seconds(tx) + seconds), (_GRACE, grace)):
        if not service_time.update(tx, {"seconds": value}, id=name):
            service_time.insert(tx, ServiceTime(id=name, seconds=value))


def grace_seconds(tx: Transaction, otherwise: float) -> float:
    """The grace that the service was last seen to have; *otherwise* where it has said nothing yet."""
    row = service_time.find(tx, id=_GRACE)
    return otherwise if row is None else row.seconds


def is_anything_waiting(tx: Transaction) -> bool:
    """Whether the trash has a volume or a tombstone."""
    return any(tx.execute(select(rows.c.id).limit(1)).first() is not None for rows in (discards, tombstones))


def oldest(tx: Transaction, limit: int, before: float | None = None) -> list[Discard]:
    """Volumes in the trash, the oldest first: all, or those from before so many served seconds and those that leave."""
    statement = select(discards.table).order_by(discards.c.served, discards.c.id).limit(limit)
    if before is not None:
        statement = statement.where(or_(discards.c.served < before, discards.c.is_leaving))
    return discards.rows(tx, statement)


def forget_tombstones(tx: Transaction, *conditions: ColumnElement[bool]) -> int:
    """Remove the tombstones that meet the conditions, but not what is being restored; returns how many."""
    return tombstones.delete(tx, *conditions, tombstones.c.id.not_in(being_restored(tx)))


def being_restored(tx: Transaction) -> set[str]:
    """The tombstones that a task which is still to be done brings back: it needs them until then."""
    found: set[str] = set()
    for task in tasks.all(tx, action=RESTORE, status=TaskStatus.PROCESSING):
        with contextlib.suppress(UnreadableFacts):
            said = parse(task.payload).get("tombstones")
            found.update(one for one in (said if isinstance(said, list) else []) if isinstance(one, str))
    return found


def bury(tx: Transaction, noun: str, row: Any, rows: Mapping[str, Sequence[Mapping[str, Any]]], now: float) -> None:
    """Keep what is about to be removed: *rows* by table, of the resource that *row* is.

    A tombstone that has the ID already gives way: the resource was restored since.
    """
    tombstones.delete(tx, id=row.id)
    made = Tombstone(
        id=row.id,
        noun=noun,
        account=row.account,
        region=row.region,
        name=row.name,
        rows=json.dumps({"version": _VERSION, "rows": rows}),
        deleted_at=now,
        served=served_seconds(tx),
    )
    tombstones.insert(tx, made)
