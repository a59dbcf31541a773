"""Tasks: what still has to be done.

A task is written in the transaction that decided on it. Whoever holds its
**lease** carries it out; a lease that runs out may be taken by another worker,
who starts from the beginning (every ``carry_out`` can). Tasks of one **lane**
(an instance, a disk) are carried out one after the other, in the order in which
they were written; tasks without a lane do not wait. ``lanes`` names the lanes, and
``claiming`` is how a lease is taken.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import takewhile
from typing import Any

from sqlalchemy import ColumnElement, Index, and_, bindparam, func, or_, select

from kiln.declare.facts import dump
from kiln.declare.ids import new_id
from kiln.declare.states import TaskStatus
from kiln.ground.clock import next_in_sequence
from kiln.ground.values import dataclass
from kiln.store.changes import Told
from kiln.store.database import Transaction
from kiln.store.hosts import NOTHING, Room
from kiln.store.order import Key, Order, newest_first
from kiln.store.rows import Recorded, Rows

POSTPONED_AT_MOST_S = 60.0  #: Nobody asks for a later time.
_SLACK_S = 1.0  #: Between two looks at a clock.
LEASE_S = 60.0  #: A worker renews its leases three times in that time.
_FAILURES_COUNTED = 8


@dataclass(frozen=True, kw_only=True)
class Task:
    """One task. Empty text means: none."""

    id: str
    seq: int  #: Order within the lane: nanoseconds since the epoch.
    action: str  #: The operation, or the upkeep, whose ``carry_out`` it is.
    account: str
    region: str
    resource: str
    lane: str
    payload: str  #: What it remembers, as ``kiln.declare.facts`` writes it.
    status: str
    progress: int  #: Percent.
    listed: bool  #: Whether DescribeTasks shows it (import and export).
    owner: str  #: The worker that holds the lease.
    lease_until: float
    attempts: int
    not_before: float
    cancel_requested: bool
    created_at: float
    finished_at: float | None
    error_code: str
    error_message: str  #: Why it was given up; of one that is still to be done, why its last try did not end it.
    host: str = ""  #: The one whose workers alone may carry it out, as what it is about is there; empty: any.
    cpus: int = 0  #: What a host must have left for whoever is not told yet where to carry it out; 0: nothing.
    memory_mib: int = 0
    generation: int = 0  #: How many leases there have been. What is written under an older one is not heeded.


class LeaseLost(Exception):
    """Another worker has the task, or nobody has: what this one was about to record of it is not to be."""


def new_task(
    action: str,
    resource: str,
    facts: object,
    now: float,
    *,
    account: str = "",
    region: str = "",
    lane: str = "",
    task_id: str | None = None,
    listed: bool = False,
    host: str = "",
    room: Room = NOTHING,
) -> Task:
    """A task that nobody has begun, the last of its lane. *facts* are declared ones; *room* is what it takes."""
    return Task(
        id=task_id or new_id("task"),
        seq=next_in_sequence(),
        action=action,
        account=account,
        region=region,
        resource=resource,
        lane=lane,
        payload=dump(facts),
        status=TaskStatus.PROCESSING,
        progress=0,
        listed=listed,
        owner="",
        lease_until=0.0,
        attempts=0,
        not_before=0.0,
        cancel_requested=False,
        created_at=now,
        finished_at=None,
        error_code="",
        error_message="",
        host=host,
        cpus=room.cpus,
        memory_mib=room.memory_mib,
    )


def leased(task: Task, owner: str, now: float) -> Task:
    """The task under a new lease of *owner*."""
    return replace(task, owner=owner, lease_until=now + LEASE_S, generation=task.generation + 1)


tasks: Rows[Task] = Rows(
    "tasks",
    Task,
    recorded=Recorded("task"),
    told=Told("task", frozenset({"progress", "cancel_requested"}), shown="listed"),
    indexes=[
        Index("tasks_open", "status", "not_before", "seq"),
        Index("tasks_lane", "lane", "status", "seq"),
        Index("tasks_list", "account", "region", "listed", "created_at"),
        Index("tasks_resource", "resource"),
    ],
)

#: The newest first; those of one moment as they were asked for, the last first.
NEWEST: Order = newest_first(tasks.c, Key(tasks.c.seq, lambda task: task.seq, int, falls=True))

_in_lane = and_(tasks.c.lane == bindparam("lane"), tasks.c.status == bindparam("status"))
_last = select(func.max(tasks.c.seq)).where(or_(tasks.c.resource == bindparam("resource"), _in_lane))


def append(tx: Transaction, task: Task) -> Task:
    """Write a task: the last of its lane, and of those about its resource, whatever the clock of this host says.

    One process gives out its numbers in order. Those of another, whose clock is ahead, may be greater.
    """
    if tx.dialect.name != "sqlite":
        # What has no lane waits for nothing: no lane has a task's ID.
        values = {"resource": task.resource, "lane": task.lane or task.id, "status": TaskStatus.PROCESSING.value}
        (last,) = tasks.kept(tx, "last", lambda: _last, values).fetchone()
        if last is not None and last >= task.seq:
            task = replace(task, seq=last + 1)
    tasks.insert(tx, task)
    return task


def is_lane_busy(tx: Transaction, lane: str) -> bool:
    """Whether something is still to be done in *lane*."""
    return bool(lane) and tasks.count(tx, lane=lane, status=TaskStatus.PROCESSING) > 0


def is_waited_for(tx: Transaction, task: Task) -> bool:
    """Whether something in the task's lane can begin when it has ended."""
    if not task.lane:
        return False
    return tasks.count(tx, tasks.c.seq > task.seq, lane=task.lane, status=TaskStatus.PROCESSING) > 0


def is_named(tx: Transaction, resource: str) -> bool:
    """Whether a task that is still to be done is about the resource, or remembers it."""
    open_ = tasks.c.status == TaskStatus.PROCESSING
    return tasks.count(tx, open_, or_(tasks.c.resource == resource, tasks.c.payload.contains(resource))) > 0


def failed_in_a_row(tx: Transaction, action: str, resource: str) -> tuple[int, float | None]:
    """How many of the last tasks of that action failed, as far as anybody counts, and when the last of them did."""
    statement = select(tasks.table).where(
        tasks.c.resource == resource, tasks.c.action == action, tasks.c.status != TaskStatus.PROCESSING
    )
    last = tasks.rows(tx, statement.order_by(tasks.c.seq.desc()).limit(_FAILURES_COUNTED))
    failures = list(takewhile(lambda task: task.status == TaskStatus.FAILED, last))
    return len(failures), failures[0].finished_at if failures else None


def is_held(lease_until: ColumnElement[float], now: ColumnElement[float] | float) -> ColumnElement[bool]:
    """That a lease has not run out. One that ends later than any can was taken before the clock was set back."""
    return and_(lease_until >= now, lease_until <= now + LEASE_S + _SLACK_S)


def renew(tx: Transaction, owner: str, now: float) -> None:
    """Renew every lease that *owner* holds."""
    tasks.update(tx, {"lease_until": now + LEASE_S}, owner=owner, status=TaskStatus.PROCESSING)


def hasten(tx: Transaction, lane: str) -> bool:
    """Have what was put off in *lane* be tried at once; False when nothing is to be done there."""
    return tasks.update(tx, {"not_before": 0.0}, lane=lane, status=TaskStatus.PROCESSING) > 0


def is_any_leased(tx: Transaction) -> bool:
    """Whether ``release_all`` would change something."""
    return tasks.count(tx, tasks.c.owner != "", status=TaskStatus.PROCESSING) > 0


def give_back(tx: Transaction, owner: str) -> int:
    """Give back every lease that *owner* holds, for a worker that ends; returns how many."""
    return tasks.update(tx, {"owner": "", "lease_until": 0.0}, owner=owner, status=TaskStatus.PROCESSING)


def take_away(tx: Transaction, **whose: str) -> int:
    """Have any worker carry out what an *owner* has leased, or is bound to a *host*; returns how many tasks that were.

    Who has them may live: nothing that is written under leases of before is heeded any more.
    """
    free = {"host": "", "owner": "", "lease_until": 0.0, "generation": tasks.c.generation + 1}
    return tasks.update(tx, free, status=TaskStatus.PROCESSING, **whose)


def unsettled(tx: Transaction, account: str, resource: str, most: int) -> list[Task]:
    """An account's tasks about a resource that are still to be done, or that failed since one last succeeded.

    The newest first, *most* of them. It may be the ID of a task itself.
    """
    done = tx.execute(
        select(func.max(tasks.c.seq)).where(tasks.c.resource == resource, tasks.c.status == TaskStatus.FINISHED)
    ).scalar()
    about = tasks.c.payload.contains(resource, autoescape=True)
    is_about = or_(tasks.c.resource == resource, tasks.c.id == resource, about)
    is_open_or_new = or_(tasks.c.status == TaskStatus.PROCESSING, tasks.c.seq > (done or 0))
    status = tasks.c.status.in_((TaskStatus.PROCESSING, TaskStatus.FAILED))
    statement = select(tasks.table).where(status, tasks.c.account == account, is_about, is_open_or_new)
    return tasks.rows(tx, statement.order_by(tasks.c.seq.desc()).limit(most))


def release_all(tx: Transaction) -> int:
    """Take back every lease: for a start when no other worker can be alive (the embedded default)."""
    return tasks.update(tx, {"owner": "", "lease_until": 0.0}, tasks.c.owner != "", status=TaskStatus.PROCESSING)


def is_any_unknown(tx: Transaction) -> bool:
    """Whether ``open_unknown`` would change something."""
    return tasks.count(tx, tasks.c.status.not_in(tuple(TaskStatus))) > 0


def open_unknown(tx: Transaction) -> int:
    """Have tasks of a status that there is not be ended as what nobody understands; returns how many.

    No worker takes them up, and what they are about would stay half done for good.
    """
    again = {"status": TaskStatus.PROCESSING, "payload": "", "owner": "", "lease_until": 0.0, "not_before": 0.0}
    return tasks.update(tx, again, tasks.c.status.not_in(tuple(TaskStatus)))


def postpone(tx: Transaction, task: Task, not_before: float, *, failed: bool, message: str = "") -> None:
    """Give the lease back; nobody takes the task before *not_before*. A task that *failed* has used up one attempt.

    *message* says why it waits, to whoever asks.
    """
    changes: dict[str, Any] = {"owner": "", "lease_until": 0.0, "not_before": not_before, "error_message": message}
    if failed:
        changes["attempts"] = task.attempts + 1
    tasks.update(tx, changes, id=task.id, generation=task.generation, status=TaskStatus.PROCESSING)


def finish(tx: Transaction, task: Task, now: float) -> bool:
    """Record that a task is done; False when it had ended already. Raises LeaseLost."""
    return _end(tx, task, TaskStatus.FINISHED, {"progress": 100, "finished_at": now, "error_message": ""})


def fail(tx: Transaction, task: Task, now: float, code: str, message: str) -> bool:
    """Record that a task was given up, and why; False when it had ended already. Raises LeaseLost."""
    return _end(tx, task, TaskStatus.FAILED, {"finished_at": now, "error_code": code, "error_message": message})


def _end(tx: Transaction, task: Task, after: TaskStatus, changes: dict[str, Any]) -> bool:
    lease = {"id": task.id, "generation": task.generation}
    if tasks.move(tx, TaskStatus.PROCESSING, after, changes | {"owner": ""}, **lease):
        return True
    row = tasks.find(tx, id=task.id)
    if row is not None and (row.status == TaskStatus.PROCESSING or row.generation != task.generation):
        raise LeaseLost(task.id)
    return False


def note(tx: Transaction, task: Task, payload: str) -> None:
    """Replace a task's payload, for what carry_out must remember across a crash. Raises LeaseLost."""
    if tasks.update(tx, {"payload": payload}, id=task.id, generation=task.generation) == 0:
        raise LeaseLost(task.id)


_generation_of = select(tasks.c.generation).where(tasks.c.id == bindparam("id"))


def require_lease(tx: Transaction, task: Task) -> None:
    """Raise LeaseLost when the task was leased anew since *task* was. One that has ended since is as it was left."""
    row = tasks.kept(tx, "generation of", lambda: _generation_of, {"id": task.id}).fetchone()
    if row is not None and row[0] != task.generation:
        raise LeaseLost(task.id)


def latest_seq(tx: Transaction) -> int:
    """The greatest number in a lane's order that was given to any task; 0 when there is none."""
    return tx.execute(select(func.max(tasks.c.seq))).scalar() or 0
