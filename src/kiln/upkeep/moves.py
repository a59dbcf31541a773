"""What is asked of an instance that is to leave its host, and what its task remembers: see ``kiln.upkeep.moving``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Literal

from kiln.declare.facts import UnreadableFacts, facts, read
from kiln.declare.states import TaskStatus
from kiln.store.database import Transaction
from kiln.store.instances import Instance, host_of
from kiln.store.leaving import MOVE
from kiln.store.tasks import Task, append, finish, new_task, tasks

Stage = Literal["asked", "stopping", "starting", "sending", "sent", "recalling"]

ASKED: Stage = "asked"
STOPPING: Stage = "stopping"
STARTING: Stage = "starting"
SENDING: Stage = "sending"
SENT: Stage = "sent"
RECALLING: Stage = "recalling"


@facts()
class MoveFacts:
    """What it remembers."""

    stage: Stage = ASKED  #: What is done next, or may have been begun.
    live: bool = False  #: Whether its guest is to go while it runs; else it is stopped, and started elsewhere.
    source: str = ""  #: The host that a running guest leaves.
    target: str = ""  #: And the one that it comes to.
    reason: str = ""  #: Why it came back.
    tried: dict[str, str] = field(default_factory=dict)  #: The hosts that did not take it, and why each did not.
    #: What names the machine that a running guest leaves to a pool whose disks no machine locks: see ``fencing``.
    writers: tuple[str, ...] = ()
    next_writers: tuple[str, ...] = ()  #: And the one that it has come to.


def ask_for(tx: Transaction, instance: Instance, now: float, *, live: bool = False) -> Task:
    """Write down that a Running instance is to leave its host; returns the task, that of before if it is open still."""
    waiting = open_move(tx, instance.id)
    if waiting is not None:
        return waiting
    task = new_task(
        MOVE,
        instance.id,
        MoveFacts(live=live),
        now,
        account=instance.account,
        region=instance.region,
        lane=instance.id,
        host=instance.host,
    )
    return append(tx, task)


def open_move(tx: Transaction, instance: str) -> Task | None:
    """The task by which an instance is to leave its host, while there is one."""
    return tasks.find(tx, action=MOVE, resource=instance, status=TaskStatus.PROCESSING)


def remembered(task: Task) -> MoveFacts:
    """What a task remembers; as if it were only asked for where that cannot be read."""
    try:
        return read(MoveFacts, task.payload)[0]
    except UnreadableFacts:
        return MoveFacts()


def is_by_stop(task: Task) -> bool:
    """Whether the instance of the task was to be stopped for it, or has been, and is to run elsewhere."""
    return remembered(task).stage in (STOPPING, STARTING)


def end_moot(tx: Transaction, instance: str, now: float) -> None:
    """End the task of an instance whose host is given up, as nothing is left to move, but for one by stop.

    Before it is written down why the instance is Stopped, which what succeeds later would settle.
    """
    task = open_move(tx, instance)
    if task is not None and not is_by_stop(task):
        finish(tx, task, now)


def hand_on(tx: Transaction, task: Task) -> None:
    """Give the lease back in this transaction, for whoever the task is bound to by then to take it at once.

    Nothing that is written under the old lease counts from then on, a postponement neither. Who takes it has all tries.
    """
    free = {"owner": "", "lease_until": 0.0, "not_before": 0.0, "attempts": 0, "generation": tasks.c.generation + 1}
    tasks.update(tx, free, id=task.id, generation=task.generation)


def being_sent(tx: Transaction) -> Mapping[str, MoveFacts]:
    """By task, what is remembered of the guests that are being sent. Where a guest has come, its row tells."""
    begun = tasks.all(tx, tasks.c.memory_mib > 0, action=MOVE, status=TaskStatus.PROCESSING)
    known = {task.id: remembered(task) for task in begun}
    return {task: one for task, one in known.items() if one.stage == SENDING}


def is_coming(tx: Transaction, instance: str, host: str) -> bool:
    """Whether the instance is the host's by its row, and nobody has written down that its guest has run there."""
    task = open_move(tx, instance)
    known = None if task is None else remembered(task)
    return known is not None and (known.stage, known.target) == (SENT, host)


def concerns(tx: Transaction, instance: str, host: str) -> bool:
    """Whether a machine of the instance on the host may be needed: it is there by the row, or its guest is on its way.

    Whoever ends the task ends that as well.
    """
    if host_of(tx, instance) == host:
        return True
    task = open_move(tx, instance)
    if task is None:
        return False
    known = remembered(task)
    is_on_its_way = known.stage in (SENDING, SENT, RECALLING) and host_of(tx, instance) in (known.source, known.target)
    return is_on_its_way and host in (known.source, known.target)


def beside(tx: Transaction, host: str) -> set[str]:
    """The instances that are another host's by their rows, and whose guests may be on their way to *host* or from it.

    Whoever writes that down, or that it is over, marks their VPCs: their cables are laid on *host* meanwhile.
    """
    found = set()
    for task in tasks.all(tx, action=MOVE, status=TaskStatus.PROCESSING):
        known = remembered(task)
        # Whose it is by its row, and who may come to have it.
        ends = {SENDING: (known.source, known.target), SENT: (known.target, known.source)}.get(known.stage)
        if ends == (host_of(tx, task.resource), host):
            found.add(task.resource)
    return found
