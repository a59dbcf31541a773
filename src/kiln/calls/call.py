"""What an operation is handed: ``Call`` for check and commit, ``Job`` for carry_out."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import field
from typing import Any, Generic, TypeVar

from kiln.buckets.port import Buckets
from kiln.calls.agents import Agents
from kiln.calls.elsewhere import Alone, Elsewhere
from kiln.calls.grace import Grace
from kiln.calls.holdings import HoldingsWatch
from kiln.calls.lengths import LengthWatch
from kiln.calls.origin import Origin
from kiln.calls.plane import Plane
from kiln.calls.quotas import QuotaWatch
from kiln.calls.terminals import Terminals
from kiln.declare.deployment import Deployment
from kiln.declare.errors import ApiError, ServiceUnavailable
from kiln.declare.facts import NoFacts, Raw, dump
from kiln.ground.clock import Clock
from kiln.ground.values import dataclass
from kiln.machines.port import Machines
from kiln.networks.callout import CallsOut
from kiln.pools.port import Pool
from kiln.store import tasks
from kiln.store.claiming import may_begin
from kiln.store.database import Database, Result, Transaction
from kiln.store.hosts import NOTHING, Room, is_given_up
from kiln.store.instances import host_of
from kiln.store.lanes import instance_of
from kiln.store.leaving import let_pass
from kiln.store.outbox import Outbox
from kiln.store.rows import Row, Rows
from kiln.store.tasks import Task

Facts = TypeVar("Facts")

NO_FACTS = NoFacts()

NOWHERE = Origin()


@dataclass(frozen=True, kw_only=True)
class Ports:
    """The outside world, as operations and upkeep see it."""

    database: Database
    pool: Pool
    machines: Machines
    buckets: Buckets
    deployment: Deployment
    clock: Clock
    seal: Callable[[str], str]  #: Encrypts a secret that is to be kept.
    unseal: Callable[[str], str]  #: What was given to ``seal``; raises where that was done with another key.
    host: str = "local"  #: What this host is called in the rows of what runs on it.
    is_alone: bool = True  #: Whether no other host can have machines of this database's.
    grace: Grace = field(default_factory=Grace)
    quota_watch: QuotaWatch = field(default_factory=QuotaWatch)
    length_watch: LengthWatch = field(default_factory=LengthWatch)
    agents: Agents = field(default_factory=Agents)
    elsewhere: Elsewhere = field(default_factory=Alone)
    holdings: HoldingsWatch = field(default_factory=HoldingsWatch)
    terminals: Terminals = field(default_factory=Terminals)
    outbox: Outbox = field(default_factory=Outbox)
    may_call: CallsOut = field(default_factory=CallsOut)  #: Whom webhooks may reach.
    plane: Plane | None = None  #: None where machines have user networking, or are only states.

    def may_begin(self, tx: Transaction) -> bool:
        """Whether this host may begin what is to be done: not while it is given up, and may not know that yet."""
        return self.is_alone or not is_given_up(tx, self.host)


@dataclass(frozen=True, kw_only=True)
class Call:
    """One request, within its transaction."""

    tx: Transaction
    ports: Ports
    account: str
    action: str  #: Of the operation, and of the tasks that it enqueues.
    now: float
    hand_over: Callable[[Task], None] = lambda _: None  #: Gives a leased task to the worker beside us.
    worker: str = ""  #: The worker beside us, or "" when there is none in this process.
    origin: Origin = NOWHERE
    prepared: Any = None  #: What the operation's ``prepare`` made. ``commit`` has it, and ``check`` decides without it.
    asked: Future[Any] | None = None  #: What a read's ``inquire`` gave.

    @property
    def deployment(self) -> Deployment:
        """What this deployment offers."""
        return self.ports.deployment

    def heard(self) -> Any:
        """What came of what ``inquire`` asked; None where it asked nobody. Raises ApiError where others cannot say."""
        if self.asked is None:
            return None
        if not self.asked.done():
            raise ServiceUnavailable
        return self.asked.result()

    def own(self, region: str | None) -> dict[str, str]:
        """What the row of a resource that the caller may mean says, besides its ID; None is any region."""
        return {"account": self.account} if region is None else {"account": self.account, "region": region}

    def the(self, rows: Rows[Row], resource: str, region: str | None, missing: type[ApiError]) -> Row:
        """The caller's own row of that ID, in *region* unless that is None. Raises *missing*."""
        row = rows.find(self.tx, id=resource, **self.own(region))
        if row is None:
            raise missing(id=resource)
        return row

    def enqueue(
        self,
        resource: str,
        facts: object = NO_FACTS,
        *,
        region: str = "",
        lane: str = "",
        task_id: str | None = None,
        listed: bool = False,
        account: str | None = None,
        room: Room = NOTHING,
    ) -> str:
        """Write a task of this action into this transaction; returns its ID.

        *facts* are of the shape that the action declares. *room* is what a host must have for it, where any may do it.

        It is leased to the worker beside us when nothing has to come
        first, so that the work starts the moment the transaction is durable,
        without a claim.
        """
        instance = instance_of(lane)
        host = host_of(self.tx, instance) if instance else ""
        is_for_us = host in ("", self.ports.host)
        now = self.ports.database.time_of_leases(self.tx, self.now)
        leased = bool(self.worker) and is_for_us and self.ports.may_begin(self.tx) and may_begin(self.tx, lane, now)
        # Where hosts share the work, each counts what it takes in its claims alone.
        leased = leased and (self.ports.is_alone or room == NOTHING)
        task = tasks.new_task(
            self.action,
            resource,
            facts,
            self.now,
            account=self.account if account is None else account,
            region=region,
            lane=lane,
            task_id=task_id,
            listed=listed,
            host=host,
            room=room,
        )
        if leased:
            task = tasks.leased(task, self.worker, now)
        elif instance:
            let_pass(self.tx, lane)
        written = tasks.append(self.tx, task)
        if leased:
            self.tx.after_commit(lambda: self.hand_over(written))
        return task.id


@dataclass(kw_only=True)
class Job(Generic[Facts]):
    """One task that is being carried out."""

    task: Task
    ports: Ports  #: Of a worker's job they are ``leased``.
    facts: Facts  #: Set by ``note`` alone.
    unknown: Raw = field(default_factory=dict)  #: What lies beside the facts and is not declared.
    gives_back: bool = False  #: As the operation's.
    is_ending: Callable[[], bool] = lambda: False  #: Whether the worker ends, and who moves bytes is to leave off.
    was_left_off: bool = False  #: Whether the moving was left off for that; then its row stays for the next start.
    moved_bytes: int = 0  #: For the log: the sizes of the disks that were read or written.

    def write(self, work: Callable[[Transaction], Result]) -> Result:
        """Run a short state step in a transaction of its own. Raises LeaseLost, and nothing is written then."""

        def leased(tx: Transaction) -> Result:
            tasks.require_lease(tx, self.task)
            return work(tx)

        return self.ports.database.write(leased, gives_back=self.gives_back)

    def require_lease(self) -> None:
        """Raise LeaseLost when another has the task by now."""
        with self.ports.database.read() as tx:
            tasks.require_lease(tx, self.task)

    def finish(self, tx: Transaction) -> None:
        """Record in *tx*, together with the result, that the task is done."""
        tasks.finish(tx, self.task, self.ports.clock())

    def fail(self, tx: Transaction, error: ApiError) -> None:
        """Record in *tx*, together with what is taken back, that the task was given up.

        Were it recorded after that, a task whose worker ends in between would be carried out again, with what was
        taken back.
        """
        tasks.fail(tx, self.task, self.ports.clock(), error.code, str(error))

    def note(self, facts: Facts) -> None:
        """Remember other facts across a crash."""
        payload = dump(facts, self.unknown)
        self.write(lambda tx: tasks.note(tx, self.task, payload))
        self.facts = facts

    def is_cancelled(self) -> bool:
        """Whether somebody asked for the task to be cancelled."""
        with self.ports.database.read() as tx:
            task = tasks.tasks.find(tx, id=self.task.id)
        return task is None or task.cancel_requested


SILENCE_S = 30.0  #: Until a machine that answered nothing is asked again on which disks it writes.

MACHINE_SILENT = "The machine does not answer, so that nobody can tell on which disks it writes."


class NotYet(Exception):
    """Raised by carry_out when something outside is not ready; the task is tried again after *seconds*.

    *reason* is a sentence for whoever waits.
    """

    def __init__(self, seconds: float, reason: str) -> None:
        super().__init__(f"not before {seconds} s from now: {reason}")
        self.seconds = seconds
        self.reason = reason
