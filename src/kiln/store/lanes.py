"""The order of what is still to be done in a lane: what comes first there, and what is put before all of it.

And how many of the lanes of transfers something is done in at once, and what waits for its turn among them.
"""

from __future__ import annotations

from sqlalchemy import select

from kiln.declare.states import TaskStatus
from kiln.store.database import Database, Transaction
from kiln.store.tasks import TRANSFERS_AT_ONCE, Task, is_transfer, running_transfers, tasks


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


def transfers_at_once(database: Database) -> int:
    """How many imports, exports and copies of bytes may run at once.

    None while the room that is kept for deleting is given up: one that an earlier run left would use it up, and
    nothing could be deleted any more. It waits, and can be cancelled; what waits has a lane of transfers alone.
    """
    return 0 if database.is_room_given_up() else TRANSFERS_AT_ONCE


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
