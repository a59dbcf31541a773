"""How many there are of what, for who watches: numbers alone, and nobody's names.

What is still to be done is few, and read each time. What there is may be a hundred thousand rows: whoever asks for that
asks seldom.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any

from sqlalchemy import Integer, case, cast, func, select

from kiln.declare.holdings import Use
from kiln.declare.states import TaskStatus
from kiln.ground.values import dataclass
from kiln.store.database import Transaction
from kiln.store.disks import disks
from kiln.store.images import images
from kiln.store.instances import instances
from kiln.store.rows import Rows
from kiln.store.snapshots import snapshots
from kiln.store.tasks import tasks
from kiln.store.trash import UnknownTombstone, tombstones
from kiln.store.volumes import volumes

#: Their tables, whatever their rows are.
_NOUNS: dict[str, Rows[Any]] = {"image": images, "snapshot": snapshots, "disk": disks, "instance": instances}


@dataclass(frozen=True, kw_only=True)
class OpenTasks:
    """The tasks of one action that are still to be done."""

    action: str
    running: int
    waiting: int
    postponed: int
    oldest_s: float  #: How long that of those that wait which has waited longest could have begun; 0 where none waits.


def open_tasks(tx: Transaction, now: float) -> list[OpenTasks]:
    """Those of each action that has some."""
    is_free = tasks.c.owner == ""
    due_at = case((tasks.c.not_before > tasks.c.created_at, tasks.c.not_before), else_=tasks.c.created_at)
    is_waiting = is_free & (tasks.c.not_before <= now)
    statement = (
        select(
            tasks.c.action,
            func.sum(cast(~is_free, Integer)),
            func.sum(cast(is_waiting, Integer)),
            func.sum(cast(is_free & (tasks.c.not_before > now), Integer)),
            func.min(case((is_waiting, due_at))),
        )
        .where(tasks.c.status == TaskStatus.PROCESSING)
        .group_by(tasks.c.action)
    )
    found: Any = tx.execute(statement)
    return [
        OpenTasks(
            action=action,
            running=running,
            waiting=waiting,
            postponed=postponed,
            oldest_s=0.0 if since is None else max(0.0, now - since),
        )
        for action, running, waiting, postponed, since in found
    ]


def statuses(tx: Transaction) -> Iterator[tuple[str, str, int]]:
    """Of images, snapshots, disks and instances: the kind, a status, and how many have it."""
    for noun, rows in _NOUNS.items():
        found: Any = tx.execute(select(rows.c.status, func.count()).group_by(rows.c.status))
        yield from ((noun, status, count) for status, count in found)


@dataclass(frozen=True, kw_only=True)
class Stand:
    """What there is of volumes."""

    counts: Mapping[tuple[str, str], int]  #: By kind and state.
    uses: Mapping[str, Use]  #: Of each volume.
    accounts: Mapping[str, frozenset[str]]  #: Of each volume: whose it is, as far as somebody's disk or snapshot says.
    depths: Mapping[str, int]  #: Of each disk's volume: how many volumes it stands on, itself included.


def stand(tx: Transaction) -> Stand:
    """All volumes that have a row, and those in the trash.

    Whose a volume is, is said by who names it. One that nothing names is of the
    account whose disks and snapshots stand on it, and of nobody where two
    accounts' do: what it takes would tell each something of the other. One that
    was deleted is of whom the trash has it for.
    """
    named = _named(tx)
    statement = select(volumes.c.id, volumes.c.kind, volumes.c.state, volumes.c.parent, volumes.c.task)
    counts: Counter[tuple[str, str]] = Counter()
    parents: dict[str, str | None] = {}
    made: dict[str, tuple[str, str]] = {}
    at_stake: set[str] = set()  # What a task needs that is still to be done.
    at_work = set(tx.execute(select(tasks.c.id).where(tasks.c.status == TaskStatus.PROCESSING)).scalars())
    found: Any = tx.execute(statement)
    for volume, kind, state, parent, task in found:
        counts[kind, state] += 1
        parents[volume] = parent
        made[volume] = kind, state
        if task in at_work:
            at_stake.add(volume)
    needed = at_stake | _below({*named, *at_stake}, parents)
    uses = {
        volume: _use(kind, state, is_named=volume in named, is_needed=volume in needed)
        for volume, (kind, state) in made.items()
    }
    # What is needed still is not told to whoever has deleted it: it would say that somebody needs it.
    buried = {volume: whose for volume, whose in _buried(tx).items() if uses.get(volume, Use.DOOMED) == Use.DOOMED}
    depths = _depths(parents)
    return Stand(
        counts=counts,
        uses=uses,
        accounts={**buried, **named, **_above(named, parents)},
        depths={
            volume: depths[volume] for volume, (kind, state) in made.items() if kind == "head" and state != "doomed"
        },
    )


def _use(kind: str, state: str, *, is_named: bool, is_needed: bool) -> Use:
    if state == "doomed" or not (is_named or is_needed):
        return Use.DOOMED
    if kind == "head":
        return Use.HEAD
    return Use.NAMED if is_named else Use.UNNAMED


def _named(tx: Transaction) -> dict[str, frozenset[str]]:
    """The volumes that a disk or a snapshot names, and whose these are."""
    found: dict[str, frozenset[str]] = {}
    alone: dict[str, frozenset[str]] = {}  # One set for each account, however many volumes it has.
    for rows in (disks, snapshots):
        told: Any = tx.execute(select(rows.c.volume, rows.c.account).where(rows.c.volume.is_not(None)))
        for volume, account in told:
            own = alone.setdefault(account, frozenset([account]))
            found[volume] = found[volume] | own if volume in found else own
    return found


def _below(volumes_above: Iterable[str], parents: Mapping[str, str | None]) -> set[str]:
    """All that these volumes stand on."""
    found: set[str] = set()
    for volume in volumes_above:
        parent = parents.get(volume)
        while parent is not None and parent not in found:
            found.add(parent)
            parent = parents.get(parent)
    return found


def _above(named: Mapping[str, frozenset[str]], parents: Mapping[str, str | None]) -> dict[str, frozenset[str]]:
    """Whose the volumes are that nothing names, by the nearest named ones that stand on them."""
    nearest: dict[str, frozenset[str]] = {}
    for volume, accounts in named.items():
        parent = parents.get(volume)
        while parent is not None and parent not in named and not accounts <= nearest.get(parent, frozenset()):
            nearest[parent] = nearest.get(parent, frozenset()) | accounts
            parent = parents.get(parent)
    return {volume: accounts for volume, accounts in nearest.items() if len(accounts) == 1}


def _buried(tx: Transaction) -> dict[str, frozenset[str]]:
    """The volumes of what was deleted and can be had back, and whose that was."""
    found: dict[str, frozenset[str]] = {}
    for stone in tombstones.all(tx):
        with suppress(UnknownTombstone):
            for rows in ("disks", "snapshots"):
                found.update((row["volume"], frozenset([stone.account])) for row in stone.of(rows) if row["volume"])
    return found


def _depths(parents: Mapping[str, str | None]) -> dict[str, int]:
    """How many volumes each stands on, itself included. Of what stands on itself, a damage, it is some number."""
    depths: dict[str, int] = {}
    for volume in parents:
        above: list[str] = []
        name: str | None = volume
        while name is not None and name not in depths:
            depths[name] = 0  # Whoever comes here again has gone round.
            above.append(name)
            name = parents.get(name)
        depth = depths[name] if name is not None else 0
        for name in reversed(above):
            depth += 1
            depths[name] = depth
    return depths
