"""Volumes: what the pool holds, or is about to hold.

A row is written before the volume is made (``task`` names the task that makes
it) and stays until after it is dropped, so that whatever a crash leaves in the
pool has a row that explains it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import (
    ColumnElement,
    CompoundSelect,
    Index,
    Select,
    bindparam,
    exists,
    literal,
    literal_column,
    select,
    union,
)

from kiln.declare.states import TaskStatus
from kiln.ground.values import dataclass
from kiln.store.database import Database, Transaction
from kiln.store.disks import disks
from kiln.store.errors import DatabaseMalformed
from kiln.store.rows import Recorded, Rows
from kiln.store.snapshots import snapshots
from kiln.store.tasks import tasks
from kiln.store.witnesses import Reference, testify


@dataclass(frozen=True, kw_only=True)
class Volume:
    """One volume."""

    id: str
    state: str  #: ``planned`` (a task makes it), ``ready``, or ``doomed`` (nothing names it; being dropped).
    kind: str  #: ``head`` or ``layer``.
    parent: str | None
    size_bytes: int
    task: str | None  #: The task that is making it, or that needs it kept.
    created_at: float
    file_bytes: int | None = None  #: Of a layer's file, which nobody writes any more. None: a head, or not known.
    pool: str = "default"  #: The name of the pool that it lies in.


def planned(
    volume: str, kind: str, parent: str | None, size_bytes: int, *, task: str, now: float, file_bytes: int | None = None
) -> Volume:
    """The row of a volume that *task* is to make: written before there are any bytes."""
    return Volume(
        id=volume,
        state="planned",
        kind=kind,
        parent=parent,
        size_bytes=size_bytes,
        task=task,
        created_at=now,
        file_bytes=file_bytes,
    )


def reinstated(volume: str, kind: str, parent: str | None, size_bytes: int, *, now: float) -> Volume:
    """The row of a volume that was found in the pool, whole, and has lost its own."""
    return Volume(id=volume, state="ready", kind=kind, parent=parent, size_bytes=size_bytes, task=None, created_at=now)


volumes: Rows[Volume] = Rows(
    "volumes",
    Volume,
    recorded=Recorded("volume"),
    indexes=[Index("volumes_parent", "parent"), Index("volumes_state", "state")],
)

_children = volumes.table.alias("children")
_LOOKED_AT = 100  #: Volumes above one that nothing names: one that is named is near.


def make_ready(tx: Transaction, lost: Callable[[], Volume], *, id: str, **changes: Any) -> None:  # noqa: A002
    """Record that the volume *id* is there, whole, and that no task makes it any more.

    Where its row is gone, *lost* tells what it was: what is named by others and has no row would be nobody's, and
    what it stands on would be taken for something that nothing stands on.
    """
    changes |= {"state": "ready", "task": None}
    if not volumes.update(tx, changes, id=id):
        volumes.insert(tx, replace(lost(), **changes))


#: What names a volume, in words, and where that is written.
_NAMED_BY = {
    "a disk": Reference("disks", "volume", "disks_volume"),
    "a snapshot": Reference("snapshots", "volume", "snapshots_volume"),
}
_STOOD_ON_BY = {"a volume that stands on it": Reference("volumes", "parent", "volumes_parent")}

_NOMINATED_AT_ONCE = 512


def _has_child() -> ColumnElement[bool]:
    return exists(select(_children.c.id).where(_children.c.parent == volumes.c.id))


def _unnamed() -> Select[Any]:
    """The IDs of volumes that nothing names: few of many.

    By themselves, since SQLite then reads three indexes and no table: 27 ms of 100,000 volumes, and 70 with their rows.
    Whatever else is asked of them is asked of these few.
    """
    each = volumes.table.alias("each_volume")
    return select(each.c.id).where(
        ~exists(select(literal_column("1")).select_from(snapshots.table).where(snapshots.c.volume == each.c.id)),
        ~exists(select(literal_column("1")).select_from(disks.table).where(disks.c.volume == each.c.id)),
    )


def _is_at_work(task: ColumnElement[Any]) -> ColumnElement[bool]:
    """Whether *task*, which a volume's row names, is still to be done. No task is not."""
    return exists(select(tasks.c.id).where(tasks.c.id == task, tasks.c.status == TaskStatus.PROCESSING))


def is_at_work(tx: Transaction, volume: Volume) -> bool:
    """Whether the task that the volume's row names is still to be done. One that has ended means nothing any more."""
    return volume.task is not None and tasks.find(tx, id=volume.task, status=TaskStatus.PROCESSING) is not None


def is_any_unwanted(tx: Transaction) -> bool:
    """Whether ``unwanted`` may find something; asked first, since it reads no whole table."""
    return tx.execute(_nominated(1)).first() is not None


#: Another witness: of some volumes, those that it knows to be named, and its words.
Witness = Callable[[Sequence[str]], Mapping[str, str]]


def unwanted(tx: Transaction, limit: int, other: Witness = lambda _: {}) -> tuple[list[Volume], dict[str, str]]:
    """Volumes to be dropped: nothing names them, stands on them or works on them, or they are doomed already.

    The second answer is of those that only look like it, by the reason why they
    are kept: a table or its index names them, whatever the other says, and
    whatever their own row says, or the *other* witness does.
    """
    most = max(limit, _NOMINATED_AT_ONCE)
    while True:
        nominated = volumes.rows(tx, _nominated(most))
        ids = [volume.id for volume in nominated]
        kept = {**other(ids), **objections(tx, ids)}
        found = [volume for volume in nominated if volume.id not in kept]
        if found or len(nominated) < most:
            return found[:limit], kept
        most *= 2


def objections(tx: Transaction, ids: Sequence[str]) -> dict[str, str]:
    """Those of the volumes that something names or stands on, by the words that say so."""
    return _words(tx, {**_NAMED_BY, **_STOOD_ON_BY}, ids)


def _words(tx: Transaction, references: Mapping[str, Reference], ids: Sequence[str]) -> dict[str, str]:
    said: dict[str, str] = {}
    for who, reference in references.items():
        testimony = testify(tx, reference, ids)
        for volume in testimony.by_table & testimony.by_index:
            said.setdefault(volume, f"{who} names it")
        for volume in testimony.disputed:
            one, other = "table", f"index {reference.index}"
            if volume in testimony.by_index:
                one, other = other, one
            said[volume] = f"{who} names it by the {one} of {reference.table} and not by the {other}: one is damaged"
    return said


@functools.cache
def _nominated(limit: int) -> Select[Any]:
    doomed = volumes.table.alias("doomed_volume")
    either = union(_unnamed(), select(doomed.c.id).where(doomed.c.state == "doomed"))
    statement = select(volumes.table).where(volumes.c.id.in_(either), ~_has_child(), ~_is_at_work(volumes.c.task))
    return statement.limit(limit)


def is_named(tx: Transaction, volume: str) -> bool:
    """Whether a disk or a snapshot names the volume."""
    return bool(_words(tx, _NAMED_BY, [volume]))


def bypassable(tx: Transaction, limit: int) -> list[tuple[str, str]]:
    """(parent, child) where nothing names the parent and the child is all that stands on it."""
    found: list[tuple[str, str]] = [(row.parent, row.child) for row in tx.execute(_in_a_row(limit))]
    named = _words(tx, _NAMED_BY, [parent for parent, _ in found])
    return [(parent, above) for parent, above in found if parent not in named]


@functools.cache
def _in_a_row(limit: int) -> Select[Any]:
    """What ``bypassable`` asks."""
    child, other = volumes.table.alias("child"), volumes.table.alias("other_child")
    has_another = exists(select(other.c.id).where(other.c.parent == child.c.parent, other.c.id != child.c.id))
    return (
        select(volumes.c.id.label("parent"), child.c.id.label("child"))
        .join(child, child.c.parent == volumes.c.id)
        .where(volumes.c.id.in_(_unnamed()), ~has_another)
        # Nearly all are ready: no index of states leads to these few, and SQLite takes none where something is added.
        .where(volumes.c.state.concat("") == "ready", child.c.state.concat("") == "ready")
        .where(~_is_at_work(volumes.c.task), ~_is_at_work(child.c.task))
        .limit(limit)
    )


def chain(tx: Transaction, volume: str) -> list[str]:
    """The volume and all that it stands on, the lowest last. Raises DatabaseMalformed when it stands on itself."""
    return list(_chain_rows(tx, volume))


def _chain_rows(tx: Transaction, volume: str) -> dict[str, Volume | None]:
    """As ``chain``, each with its row."""
    found: dict[str, Volume | None] = {}
    name: str | None = volume
    while name is not None:
        if name in found:
            raise DatabaseMalformed(f"{volume} stands on itself, by way of {name}")
        found[name] = row = volumes.find(tx, id=name)
        name = None if row is None else row.parent
    return found


def last_planned(tx: Transaction, head: str) -> Volume | None:
    """What will be the head of a disk that stands on *head* now, when all captures that are planned have been made."""
    row = volumes.find(tx, id=head)
    while row is not None and (heir := volumes.find(tx, parent=row.id, state="planned")) is not None:
        row = heir
    return row


def lineage(tx: Transaction, volume: str) -> dict[str, int | None] | None:
    """A volume and all that it stands on, the lowest last, each with the bytes that its file has.

    None of those whose files may grow. None in all when there is no such row. Raises DatabaseMalformed.
    """
    rows = _chain_rows(tx, volume)
    if rows[volume] is None:
        return None
    return {each: None if row is None else row.file_bytes for each, row in rows.items()}


def lineage_in(database: Database) -> Callable[[str], dict[str, int | None] | None]:
    """What tells the ``lineage`` of a volume."""

    def ask(volume: str) -> dict[str, int | None] | None:
        with database.read() as tx:
            return lineage(tx, volume)

    return ask


def keys_in(database: Database) -> Callable[[str], set[str]]:
    """What tells with which keys a volume is encrypted by the rows of disks and snapshots; an empty ID is none at all.

    What is encrypted is so with all that stands on it: of one that nothing names the next that is named above it says
    the key. No answer: the rows know of none, as while it is being made.
    """

    def ask(volume: str) -> set[str]:
        with database.read() as tx:
            return set(tx.execute(_keys_of(), {"volume": volume}).scalars()) or set(
                tx.execute(_keys_above(), {"volume": volume}).scalars()
            )

    return ask


@functools.cache
def _keys_of() -> CompoundSelect[Any]:
    return union(
        select(disks.c.kms_key).where(disks.c.volume == bindparam("volume")),
        select(snapshots.c.kms_key).where(snapshots.c.volume == bindparam("volume")),
    )


@functools.cache
def _keys_above() -> CompoundSelect[Any]:
    above = select(volumes.c.id).where(volumes.c.parent == bindparam("volume")).cte("above", recursive=True)
    above = above.union_all(select(_children.c.id).join(above, _children.c.parent == above.c.id))
    there = select(above.c.id).limit(_LOOKED_AT)
    return union(
        select(disks.c.kms_key).where(disks.c.volume.in_(there)),
        select(snapshots.c.kms_key).where(snapshots.c.volume.in_(there)),
    )


def heads_deeper_than(tx: Transaction, depth: int) -> list[str]:
    """The volumes of disks whose chains have more than *depth* volumes, the disk's own among them."""
    return list(tx.execute(_deeper_than(depth)).scalars())


@functools.cache
def _deeper_than(depth: int) -> Select[Any]:
    """One statement for all disks, since this is asked every few seconds: it goes down no further than it must."""
    below = (
        select(disks.c.volume.label("head"), disks.c.volume.label("volume"), literal(1).label("depth"))
        .where(disks.c.volume.is_not(None))
        .cte("below", recursive=True)
    )
    below = below.union_all(
        select(below.c.head, volumes.c.parent, below.c.depth + 1)
        .join(volumes.table, volumes.c.id == below.c.volume)
        .where(volumes.c.parent.is_not(None), below.c.depth <= depth)
    )
    return select(below.c.head).where(below.c.depth > depth).order_by(below.c.head)
