"""How many there are of what, for who watches: numbers alone, and nobody's names.

What is still to be done is few, and read each time. What there is may be a hundred thousand rows: whoever asks for that
asks seldom.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy import Integer, case, cast, func, select

from kiln.declare.states import TaskStatus
from kiln.ground.values import dataclass
from kiln.store.database import Transaction
from kiln.store.disks import disks
from kiln.store.images import images
from kiln.store.instances import instances
from kiln.store.rows import Rows
from kiln.store.snapshots import snapshots
from kiln.store.tasks import tasks
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
    kinds: Mapping[str, str]  #: Of each volume: ``head``, ``layer``, or ``doomed``, whatever it was.
    depth_max: int  #: Of the head that stands on most, itself included; 0 where there are no heads.
    depth_mean: float


def stand(tx: Transaction) -> Stand:
    """All volumes that have a row."""
    statement = select(volumes.c.id, volumes.c.kind, volumes.c.state, volumes.c.parent)
    counts: dict[tuple[str, str], int] = {}
    kinds: dict[str, str] = {}
    parents: dict[str, str | None] = {}
    found: Any = tx.execute(statement)
    for volume, kind, state, parent in found:
        counts[kind, state] = counts.get((kind, state), 0) + 1
        kinds[volume] = "doomed" if state == "doomed" else kind
        parents[volume] = parent
    depths = _depths(parents)
    of_heads = [depths[volume] for volume, kind in kinds.items() if kind == "head"]
    mean = sum(of_heads) / len(of_heads) if of_heads else 0.0
    return Stand(counts=counts, kinds=kinds, depth_max=max(of_heads, default=0), depth_mean=mean)


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
