"""Tasks of instances that are to leave their hosts, as others see them: they wait for a turn, and nobody for them."""

from __future__ import annotations

from sqlalchemy import func, select

from kiln.declare.states import TaskStatus
from kiln.ground.clock import next_in_sequence
from kiln.store.database import Transaction
from kiln.store.tasks import Task, tasks

MOVE = "MoveInstance"  #: The action of such a task.


def put_last(tx: Transaction, task: Task) -> None:
    """Have a task come after all else that is still to be done in its lane."""
    last = tx.execute(
        select(func.max(tasks.c.seq)).where(tasks.c.lane == task.lane, tasks.c.status == TaskStatus.PROCESSING)
    ).scalar()
    if last is not None and last > task.seq:
        tasks.update(tx, {"seq": max(next_in_sequence(), last + 1)}, id=task.id, generation=task.generation)


def let_pass(tx: Transaction, lane: str) -> None:
    """Have a move that waits in *lane* for its turn be looked at now, where it lets others go first."""
    tasks.update(tx, {"not_before": 0.0}, lane=lane, action=MOVE, owner="", status=TaskStatus.PROCESSING)


def call_off(tx: Transaction, instance: str) -> None:
    """Have the guest of an instance not be sent any further that is on its way to another host, if it is."""
    tasks.update(tx, {"cancel_requested": True}, action=MOVE, resource=instance, status=TaskStatus.PROCESSING)


def let_next(tx: Transaction) -> None:
    """Have the move that has waited longest on each host be looked at now: a turn may be free.

    One that has begun takes room elsewhere, and waits for something else.
    """
    waits = (tasks.c.action == MOVE, tasks.c.status == TaskStatus.PROCESSING, tasks.c.owner == "")
    first = select(func.min(tasks.c.seq)).where(*waits, tasks.c.not_before > 0, tasks.c.memory_mib == 0)
    tasks.update(tx, {"not_before": 0.0}, *waits, tasks.c.seq.in_(first.group_by(tasks.c.host)))
