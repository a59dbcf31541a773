"""Lanes: those in which something is done with an instance, and the order of what is still to be done in any.

Those of imports, exports and copies are in ``transfers``.
"""

from __future__ import annotations

from sqlalchemy import select

from kiln.declare.ids import is_of
from kiln.declare.states import TaskStatus
from kiln.store.database import Transaction
from kiln.store.tasks import Task, tasks

_ERRAND = "errand"
ERRANDS_AT_ONCE = 4  #: In one guest.


def errand_lane(tx: Transaction, instance: str) -> str:
    """A lane for what is done within an instance's guest beside all else: that in which the least is to be done."""
    lanes = [f"{_ERRAND}:{instance}:{n}" for n in range(ERRANDS_AT_ONCE)]
    return min(lanes, key=lambda lane: tasks.count(tx, lane=lane, status=TaskStatus.PROCESSING))


def password_lane(instance: str) -> str:
    """The lane in which an instance's guest is given its password. Commands do not wait for that, nor it for them."""
    return f"{_ERRAND}:{instance}:password"


def is_errand(lane: str) -> bool:
    """Whether what is in *lane* is done within a guest."""
    return lane.startswith(f"{_ERRAND}:")


def instance_of(lane: str) -> str:
    """The instance whose machine has to be at hand for what is in *lane*; empty for none."""
    instance = lane.split(":")[1] if is_errand(lane) else lane
    return instance if is_of("instance", instance) else ""


def bind(tx: Transaction, instance: str, host: str) -> None:
    """Have what is still to be done for *instance*, also in its guest, carried out by *host* alone; empty: by any."""
    for lane in (instance, password_lane(instance), *(f"{_ERRAND}:{instance}:{n}" for n in range(ERRANDS_AT_ONCE))):
        tasks.update(tx, {"host": host}, lane=lane, status=TaskStatus.PROCESSING)


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
