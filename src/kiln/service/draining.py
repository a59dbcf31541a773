"""How a host is emptied: what ``kiln host drain`` asks for, and how far it is, beside the services that carry it out.

What was asked for are tasks (``kiln.upkeep.moving``), so it goes on whether somebody watches or not.
"""

from __future__ import annotations

from collections.abc import Collection

from kiln.declare.states import InstanceStatus, TaskStatus
from kiln.ground.clock import Clock
from kiln.ground.values import dataclass
from kiln.service.hosts import HostUnknown
from kiln.store.database import Database, Transaction
from kiln.store.hosts import hosts
from kiln.store.instances import instances
from kiln.store.tasks import Task, tasks
from kiln.store.workers import serving
from kiln.upkeep.moves import ASKED, RECALLING, SENDING, SENT, STOPPING, ask_for, remembered


class DrainingEnded(Exception):
    """The host is not emptied any further; the message says why, and *hint* what can be done."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


@dataclass(frozen=True, kw_only=True)
class Leaving:
    """How far one instance is that is to leave the host."""

    instance: str
    text: str  #: As a sentence goes on that begins with its ID.
    is_over: bool = True
    stays: bool = False  #: Whether it could not be moved.


class Emptying:
    """Has every instance that runs on the host *name*, or comes to run there, leave it."""

    def __init__(self, database: Database, name: str, clock: Clock, *, by_stop: bool) -> None:
        self._database, self._name, self._clock, self._by_stop = database, name, clock, by_stop
        self._asked: dict[str, str] = {}  #: By instance, the task that moves it.

    def look(self) -> list[Leaving]:
        """Ask for those that run there and were not asked to leave; returns how far each is, by their IDs.

        Raises DrainingEnded, HostUnknown.
        """
        with self._database.read() as tx:
            self._require_draining(tx)
            there = instances.all(tx, host=self._name)
        new = [one.id for one in there if one.status == InstanceStatus.RUNNING and one.id not in self._asked]
        if new:
            self._asked |= self._database.write(lambda tx: self._ask(tx, new))
        with self._database.read() as tx:
            told = [self._told(tx, one) for one in sorted({*self._asked, *(one.id for one in there)})]
            if not all(one.is_over for one in told):
                self._require_served(tx)
        return told

    def _require_draining(self, tx: Transaction) -> None:
        row = hosts.find(tx, name=self._name)
        if row is None:
            raise HostUnknown(self._name)
        if not row.is_draining:
            raise DrainingEnded(f"somebody has {self._name} start instances again", "What had begun to move moves on.")

    def _require_served(self, tx: Transaction) -> None:
        if serving(tx, self._name) is None:
            hint = "What was asked for is done when one is back. `kiln host forget HOST` gives up one for good."
            raise DrainingEnded(f"no process of Kiln is seen on {self._name}", hint)

    def _ask(self, tx: Transaction, ids: Collection[str]) -> dict[str, str]:
        found = instances.all(tx, instances.c.id.in_(ids), status=InstanceStatus.RUNNING, host=self._name)
        return {one.id: ask_for(tx, one, self._clock(), live=not self._by_stop).id for one in found}

    def _told(self, tx: Transaction, instance: str) -> Leaving:
        row = instances.find(tx, id=instance)
        if row is None:
            return Leaving(instance=instance, text="is no more")
        task = tasks.find(tx, id=self._asked[instance]) if instance in self._asked else None
        if task is not None and task.status == TaskStatus.PROCESSING:
            return Leaving(instance=instance, text=how_far(task), is_over=False)
        if task is not None and task.status == TaskStatus.FAILED:
            return Leaving(instance=instance, text=f"is {row.status}: {task.error_message}", stays=True)
        if row.host == self._name:
            # It is on its way into another state, or came to none: then it is asked again.
            self._asked.pop(instance, None)
            return Leaving(instance=instance, text=f"is {row.status}", is_over=False)
        return Leaving(instance=instance, text=f"is {row.status}{f' on {row.host}' if row.host else ''}")


def how_far(task: Task) -> str:
    """How far an instance is whose task is still to be done, as a sentence goes on that begins with its ID."""
    known, reason = remembered(task), task.error_message
    if known.stage == ASKED:
        return f"waits: {reason}" if reason else "waits for what is done with it"
    if known.stage == STOPPING:
        return "is being stopped"
    if known.stage in (SENDING, SENT):
        # By tens, since whoever watches is told of each change.
        sent = task.progress // 10 * 10
        return f"goes to {known.target} while it runs{f': {sent}% of its memory is sent' if sent else ''}"
    if known.stage == RECALLING:
        return "goes on where it was"
    return f"is being started elsewhere{f': {reason}' if reason else ''}"
