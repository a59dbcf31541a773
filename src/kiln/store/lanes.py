"""The order of what is still to be done in a lane: what comes first there, and what is put before all of it."""

from __future__ import annotations

from sqlalchemy import select

from kiln.declare.states import TaskStatus
from kiln.store.database import Transaction
from kiln.store.tasks import Task, tasks


def open_in(tx: Transaction, lane: str) -> list[Task]:
    """What is still to be done in *lane*, what is carried out first before the others."""
    statement = select(tasks.table).where(tasks.c.lane == lane, tasks.c.status == TaskStatus.PROCESSING)
    return tasks.rows(tx, statement.order_by(tasks.c.seq)) if lane else []


def before_in_lane(tx: Transaction, task: Task) -> Task | None:
    """The task that comes first in the lane of one that is still to be done; None when that is itself."""
    return next((one for one in open_in(tx, task.lane) if one.seq < task.seq), None)


def put_behind(tx: Transaction, lane: str, task: Task) -> None:
    """Have all that is still to be done in *lane* come after *task*: what succeeds of it settles what that says."""
    waiting = open_in(tx, lane)
    if waiting and waiting[0].seq <= task.seq:
        later = {"seq": tasks.c.seq + (task.seq + 1 - waiting[0].seq)}
        tasks.update(tx, later, lane=lane, status=TaskStatus.PROCESSING)
