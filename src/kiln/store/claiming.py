"""How a worker comes to a task: which are due, and the taking of their leases."""

from __future__ import annotations

from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Float, Integer, Select, Text, and_, bindparam, exists, or_, select

from kiln.declare.states import TaskStatus
from kiln.store.database import Transaction
from kiln.store.hosts import ANY_ROOM, ANY_SHARE, Share, fits, that_fit
from kiln.store.tasks import LEASE_S, POSTPONED_AT_MOST_S, Task, is_held, is_lane_busy, leased, tasks
from kiln.store.transfers import TRANSFERS_AT_ONCE, is_slot_free, is_transfer, running_transfers, whose_turn

_others = tasks.table.alias("others")


def may_begin(tx: Transaction, lane: str, now: float) -> bool:
    """Whether a task that is written to *lane* now may be carried out at once."""
    is_full = is_transfer(lane) and len(running_transfers(tx, now)) >= TRANSFERS_AT_ONCE
    return not is_lane_busy(tx, lane) and not is_full


@cache
def _is_due() -> tuple[ColumnElement[bool], ...]:
    """That a task is due at ``now`` and that ``host``, which has so much left, may carry it out.

    Workers ask for it again and again, and to write it anew takes longer than to look.
    """
    now = bindparam("now", type_=Float)
    earlier = exists(
        select(_others.c.id).where(
            _others.c.lane == tasks.c.lane,
            _others.c.status == TaskStatus.PROCESSING,
            _others.c.seq < tasks.c.seq,
        )
    )
    return (
        tasks.c.status == TaskStatus.PROCESSING,
        # What lies further ahead than anybody puts it was written before the clock was set back.
        or_(tasks.c.not_before <= now, tasks.c.not_before > now + POSTPONED_AT_MOST_S),
        or_(tasks.c.owner == "", ~is_held(tasks.c.lease_until, now)),
        or_(tasks.c.lane == "", ~earlier),
        is_slot_free(now),
        or_(
            tasks.c.host == bindparam("host", type_=Text),
            and_(tasks.c.host == "", fits(tasks.c.cpus, tasks.c.memory_mib)),
        ),
    )


@cache
def _first_due() -> Select[Any]:
    return select(tasks.c.id).where(*_is_due()).limit(1)


@cache
def _all_due() -> Select[Any]:
    """The oldest of those that are due, ``most`` of them."""
    statement = select(tasks.table).where(*_is_due()).order_by(tasks.c.seq).limit(bindparam("most", type_=Integer))
    return statement.with_for_update(skip_locked=True)


def is_any_due(tx: Transaction, host: str, now: float, *, transfers: int = TRANSFERS_AT_ONCE) -> bool:
    """Whether ``claim`` would find something; asked first, because a read does not wait for the writer."""
    told = {"now": now, "host": host, "transfers": transfers, **vars(ANY_ROOM)}
    return tx.execute(_first_due(), told).first() is not None


def claim(
    tx: Transaction,
    owner: str,
    now: float,
    limit: int = 1,
    host: str = "",
    *,
    share: Share = ANY_SHARE,
    transfers: int = TRANSFERS_AT_ONCE,
) -> list[Task]:
    """Take the leases of tasks that are due, that nobody works on and that *host* may carry out; oldest first.

    *share* is what the host takes of what may be carried out by any, *transfers* how many of them may run at once.
    """
    told = {"now": now, "host": host, "most": limit, "transfers": transfers, **vars(share.left)}
    due = [tasks.read(row) for row in tx.execute(_all_due(), told)]
    found = [leased(task, owner, now) for task in that_fit(whose_turn(tx, due, now, transfers), share)]
    if found:
        lease = {"owner": owner, "lease_until": now + LEASE_S, "generation": tasks.c.generation + 1}
        tasks.update(tx, lease, tasks.c.id.in_([task.id for task in found]))
    return found
