"""Transfers: imports, exports and copies, which move many bytes; how many run at once, and whose turn is next.

An account has lanes of its own for them, and the accounts take turns.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Integer, bindparam, func, select

from kiln.declare.states import TaskStatus
from kiln.store.database import Database, Transaction
from kiln.store.tasks import Task, is_held, tasks

TRANSFERS_AT_ONCE = 3
_TRANSFERS_OF_ONE = 2
_TRANSFER = "transfer"  # Also of the two lanes that all accounts once shared.

_running = tasks.table.alias("running")


def transfer_lanes(account: str) -> tuple[str, ...]:
    """The lanes of an account; what is in one is carried out one after the other."""
    return tuple(f"{_TRANSFER}:{account}:{n}" for n in range(_TRANSFERS_OF_ONE))


def is_transfer(lane: str) -> bool:
    """Whether what is in *lane* moves the bytes of an import, an export or a copy."""
    return lane.startswith(_TRANSFER)


def transfers_at_once(database: Database) -> int:
    """How many imports, exports and copies of bytes may run at once.

    None while the room that is kept for deleting is given up: one that an earlier run left would use it up, and
    nothing could be deleted any more. It waits, and can be cancelled; what waits has a lane of transfers alone.
    """
    return 0 if database.is_room_given_up() else TRANSFERS_AT_ONCE


def running_transfers(tx: Transaction, now: float) -> list[Task]:
    """The transfers that are being carried out."""
    return tasks.all(
        tx,
        tasks.c.lane.startswith(_TRANSFER, autoescape=True),
        tasks.c.owner != "",
        is_held(tasks.c.lease_until, now),
        status=TaskStatus.PROCESSING,
    )


def place_in_queue(tx: Transaction, task: Task, now: float, transfers: int) -> int:
    """How many of its account's transfers begin before this one, itself among them; 0 when it waits for none.

    *transfers* is how many of them may run at once: all wait where none may.
    """
    if task.status != TaskStatus.PROCESSING or task.owner or not is_transfer(task.lane):
        return 0
    of_account = {"account": task.account, "listed": True, "status": TaskStatus.PROCESSING}
    is_behind = tasks.count(tx, tasks.c.seq < task.seq, lane=task.lane, **of_account) > 0
    if not is_behind and len(running_transfers(tx, now)) < transfers:
        return 0
    return 1 + tasks.count(tx, tasks.c.seq < task.seq, owner="", **of_account)


def is_slot_free(now: ColumnElement[float]) -> ColumnElement[bool]:
    """The condition that a task is no transfer, or that fewer than ``transfers`` are being carried out."""
    running = (
        select(func.count())
        .where(
            _running.c.lane.startswith(_TRANSFER, autoescape=True),
            _running.c.status == TaskStatus.PROCESSING,
            _running.c.owner != "",
            is_held(_running.c.lease_until, now),
        )
        .scalar_subquery()
    )
    return ~tasks.c.lane.startswith(_TRANSFER, autoescape=True) | (running < bindparam("transfers", type_=Integer))


def whose_turn(tx: Transaction, due: Sequence[Task], now: float, transfers: int) -> list[Task]:
    """Of the tasks that are due, those that may begin: all but the transfers that must wait for others'."""
    waiting = [task for task in due if is_transfer(task.lane)]
    if not waiting:
        return list(due)
    busy = Counter(task.account for task in running_transfers(tx, now))
    last = _last_ended(tx, {task.account for task in waiting})
    chosen: set[str] = set()
    while len(chosen) < len(waiting) and busy.total() < transfers:
        turn = min(
            (task for task in waiting if task.id not in chosen),
            key=lambda task: (busy[task.account], last.get(task.account, 0.0), task.seq),
        )
        chosen.add(turn.id)
        busy[turn.account] += 1
    return [task for task in due if task.id in chosen or not is_transfer(task.lane)]


def _last_ended(tx: Transaction, accounts: set[str]) -> dict[str, float]:
    """When the last transfer of each account ended; who had none for longest comes first."""
    if len(accounts) < 2:  # noqa: PLR2004 - nobody to take turns with.
        return {}
    statement = (
        select(tasks.c.account, func.max(tasks.c.finished_at))
        .where(tasks.c.account.in_(accounts), tasks.c.listed, tasks.c.finished_at.is_not(None))
        .group_by(tasks.c.account)
    )
    rows: Any = tx.execute(statement)
    return {row[0]: row[1] for row in rows}
