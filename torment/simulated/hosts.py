"""A simulated host: a worker, a dispatcher and ports of its own, on a database and a pool that others share."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, cast

from kiln.buckets.folder import FolderBuckets
from kiln.calls.call import Ports
from kiln.declare.deployment import Deployment
from kiln.operations import CATALOGUE
from kiln.pools.qcow2 import Qcow2Pool
from kiln.store import hosts, tasks
from kiln.store.database import Database, Transaction, open_sqlite
from kiln.store.errors import DatabaseDown
from kiln.store.hosts import Room
from kiln.store.outbox import Outbox
from kiln.store.volumes import lineage_in
from kiln.tasks.worker import Worker
from kiln.upkeep import unfinished
from kiln.upkeep.duties import DUTIES
from kiln.upkeep.lost_hosts import end_given_up, start_lost
from kiln.wire.dispatch import Dispatcher
from tests.clouds import ACCOUNT, Clock, Cloud
from torment.simulated.actors import Actor, Writing
from torment.simulated.machines import LockedMachines, Locks

Result = TypeVar("Result")

_RENEWS_S = tasks.LEASE_S / 3


@dataclass
class Time:
    """The time of all hosts, which only the simulation moves."""

    now: float = 1_795_000_000.0

    def __call__(self) -> float:
        self.now += 0.001
        return self.now


class _Line(Database):
    """The shared database as one host reaches it, or does not."""

    def __init__(self, path: Path, is_cut: Callable[[], bool]) -> None:
        super().__init__(open_sqlite(path).engine)
        self._is_cut = is_cut

    def read(self) -> AbstractContextManager[Transaction]:
        self._require()
        return super().read()

    def write(self, work: Callable[[Transaction], Result], *, gives_back: bool = False) -> Result:
        self._require()
        with Writing():
            return super().write(work, gives_back=gives_back)

    def _require(self) -> None:
        if self._is_cut():
            raise DatabaseDown("the network is cut")


class Host:
    """See the module's docstring. It does one thing at a time, and stands still while it is ``held``."""

    def __init__(self, name: str, folder: Path, time: Time, locks: Locks) -> None:
        self.name = name
        self.seen_at = time.now  #: When the database heard of it last.
        self.machines = LockedMachines(folder / f"run-{name}", name, locks)
        self.offset_s = 0.0  #: What its clock is ahead.
        self.held_until = 0.0  #: By the true time: stopped with all that it does.
        self.cut_until = 0.0  #: Likewise: the database is out of reach, the pool is not.
        self.actor: Actor | None = None
        self._folder, self._time = folder, time
        self._renewed_at = float("-inf")
        self.cloud = self._begin()
        self.come()

    @property
    def is_awake(self) -> bool:
        """Whether it can do anything now."""
        return self._time.now >= self.held_until

    @property
    def is_cut(self) -> bool:
        """Whether it cannot reach the database now."""
        return self._time.now < self.cut_until

    def clock(self) -> float:
        """The time as this host has it."""
        return self._time() + self.offset_s

    def _begin(self) -> Cloud:
        database = _Line(self._folder / "kiln.sqlite", lambda: self.is_cut)
        pool = Qcow2Pool(self._folder / "pool")
        pool.lineage = lineage_in(database)
        ports = Ports(
            database=database,
            pool=pool,
            machines=self.machines,
            buckets=FolderBuckets(self._folder / "buckets"),
            deployment=Deployment(),
            clock=self.clock,
            seal=lambda secret: "sealed:" + secret,
            unseal=lambda sealed: sealed.removeprefix("sealed:"),
            outbox=Outbox(self.clock),
            host=self.name,
            is_alone=False,
        )
        ports.outbox.attach(database)
        worker = Worker(ports, DUTIES, unfinished)
        return Cloud(
            ports=ports,
            dispatcher=Dispatcher(CATALOGUE, ports, worker.id, lambda _: None),
            worker=worker,
            clock=cast("Clock", self.clock),  # It is only asked.
            folder=self._folder,
            account=ACCOUNT,
        )

    def come(self) -> None:
        """Say that it is there, once what was given up of it has ended."""
        ports = self.cloud.ports
        with ports.database.read() as tx:
            was_given_up = hosts.is_given_up(tx, self.name)
        if was_given_up:
            end_given_up(ports)
        room = Room(cpus=1, memory_mib=1024)

        def come(tx: Transaction) -> None:
            hosts.come(tx, self.name, "", room, self._time.now)
            if was_given_up:
                start_lost(tx, ports)

        ports.database.write(come)

    def begin(self, what: str, work: Callable[[], Any]) -> Actor:
        """Have it do something; it must not be doing anything."""
        self.actor = Actor(f"{self.name} {what}", work)
        return self.actor

    def work(self) -> bool:
        """Begin a task, if it has a lease or finds one that is due; whether it does."""
        self.renew()
        database, worker = self.cloud.ports.database, self.cloud.worker
        with database.read() as tx:
            mine = tasks.tasks.all(tx, owner=worker.id, status="Processing")
        for task in mine or worker.claim(self.clock()):
            self.begin(f"{task.action} of {task.resource}", lambda task=task: self._attempt(task))  # type: ignore[misc]
            return True
        return False

    def _attempt(self, task: tasks.Task) -> None:
        with suppress(tasks.LeaseLost):
            self.cloud.worker.attempt(task)

    def renew(self) -> None:
        """Renew its leases in the time in which a worker does."""
        if self._time.now - self._renewed_at > _RENEWS_S:
            now, worker = self.clock(), self.cloud.worker
            self.cloud.ports.database.write(lambda tx: tasks.renew(tx, worker.id, now))
            self._renewed_at = self._time.now

    def die(self) -> None:
        """Lose everything that is not on a disk, and begin again as somebody else."""
        if self.actor is not None:
            self.actor.die()
            self.actor = None
        self.close()
        self.held_until = self.cut_until = 0.0
        self._renewed_at = float("-inf")
        self.cloud = self._begin()

    def put_away(self) -> None:
        """Remove the overlays that were made ahead."""
        cast("Qcow2Pool", self.cloud.ports.pool).put_away()

    def close(self) -> None:
        """Let go of the database and the pool."""
        self.put_away()
        self.cloud.ports.database.close()
