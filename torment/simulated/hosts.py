"""A simulated host: a worker, a dispatcher and ports of its own, on a database and a pool that others share."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, cast

from kiln.buckets.folder import FolderBuckets
from kiln.calls.call import NotYet, Ports
from kiln.calls.elsewhere import Alone
from kiln.calls.errors import ServiceUnavailableHostSilent
from kiln.declare.deployment import Deployment
from kiln.declare.errors import ApiError
from kiln.ground.killpoints import reach
from kiln.machines.errors import MachineError
from kiln.machines.port import Make
from kiln.operations import CATALOGUE
from kiln.pools.errors import PoolError
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
from kiln.upkeep.live import NotAwaited, receive
from kiln.upkeep.lost_hosts import end_given_up, start_lost
from kiln.wire.dispatch import Dispatcher
from tests.clouds import ACCOUNT, Clock, Cloud
from torment.simulated.actors import Actor, Writing
from torment.simulated.machines import SimulatedMachines, World

Result = TypeVar("Result")

_RENEWS_S = tasks.LEASE_S / 3
_COMES_WITHIN_S = 320.0  #: As in ``kiln.upkeep.live``, by the simulated time.
_LOOK_S = 0.5
ONE = Room(cpus=1, memory_mib=1024)  #: For one instance.

#: What who asks for a machine is told, and nobody has to see to.
_FORESEEN = (NotAwaited, MachineError, PoolError, ApiError, NotYet, DatabaseDown)


@dataclass
class Time:
    """The time of all hosts, which only the simulation moves."""

    now: float = 1_795_000_000.0

    def __call__(self) -> float:
        self.now += 0.001
        return self.now

    def sleep(self, seconds: float) -> None:
        """Let it pass, for one who waits."""
        self.now += seconds


@dataclass
class Surroundings:
    """What is between the hosts: the world of their machines, and the network, which can be cut between two."""

    time: Time
    world: World = field(default_factory=World)
    hosts: dict[str, Host] = field(default_factory=dict)
    cut_until: dict[frozenset[str], float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.world.are_joined = self.are_joined
        self.world.carries = lambda name: self.hosts[name].is_awake
        self.world.sleep = self.time.sleep

    def are_joined(self, one: str, other: str) -> bool:
        """Whether the processes of two hosts reach each other."""
        is_cut = self.time.now < self.cut_until.get(frozenset({one, other}), 0.0)
        return not (is_cut or self.hosts[one].is_cut or self.hosts[other].is_cut)


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


class _Asked(Future[Any]):
    """A machine that is to wait on another host, as who asks for it sees that; it rests where that would wait."""

    def __init__(self, by: Host, of: Host, instance: str, make: Make) -> None:
        super().__init__()
        self._by, self._of = by, of
        self._since = by.surroundings.time.now
        self._arrival = Actor(f"{of.name} awaits {instance}", lambda: self._arrive(instance, make))
        of.arrivals.append(self._arrival)

    def _arrive(self, instance: str, make: Make) -> Any:
        if self.done():
            return None  # Who asked has left.
        try:
            way = receive(self._of.cloud.ports, instance, make)
        except _FORESEEN as error:
            self._refuse(str(error))
            return None
        if self.done():
            cast("Any", way).close()
        return way

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """As a Future's, for one who has to come to a point to wait. Raises TimeoutError."""
        self._look()
        if not self.done():
            reach("simulated.awaits_a_machine")
            self._by.surroundings.time.sleep(_LOOK_S)
            self._look()
        return super().exception(0 if timeout is not None else None)

    def leave(self) -> None:
        """As it is when who asks ends: what has come by then is ended with the connection."""
        if not self.cancel() and super().exception() is None:
            self.result().close()

    def _look(self) -> None:
        if self.done():
            return
        arrival, surroundings = self._arrival, self._by.surroundings
        if arrival.error is not None:
            self._refuse("its process has ended")
        elif not surroundings.are_joined(self._by.name, self._of.name):
            self._refuse("it is cut off")
        elif surroundings.time.now > self._since + _COMES_WITHIN_S:
            self._refuse("no machine came to wait there in time")
        elif arrival.is_over:
            self.set_result(arrival.result)
            return
        else:
            return
        if arrival.is_over and arrival.result is not None:
            arrival.result.close()

    def _refuse(self, reason: str) -> None:
        if not self.done():
            self.set_exception(ServiceUnavailableHostSilent(host=self._of.name, reason=reason))


class _Beside(Alone):
    """The other hosts, as one asks them."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def is_here(self, *host: object) -> bool:
        return host[0] in ("", self._host.name)

    def entrance(self, *asked: Any) -> Future[Any]:
        _, target, instance, make = asked
        one = _Asked(self._host, self._host.surroundings.hosts[target], instance, make)
        self._host.asked.append(one)
        return one


class Host:
    """See the module's docstring. It does so much *at_once*, and stands still while it is ``held``."""

    def __init__(
        self, name: str, folder: Path, surroundings: Surroundings, *, room: Room = ONE, at_once: int = 1
    ) -> None:
        self.name, self.surroundings = name, surroundings
        self._time, self._folder = surroundings.time, folder
        self._room, self._at_once = room, at_once
        self.seen_at = self._time.now  #: When the database heard of it last.
        self.machines = SimulatedMachines(folder / f"run-{name}", name, surroundings.world)
        self.offset_s = 0.0  #: What its clock is ahead.
        self.held_until = 0.0  #: By the true time: stopped with all that it does.
        self.cut_until = 0.0  #: Likewise: the database is out of reach, the pool is not.
        self.actors: list[Actor] = []  #: What it does now,
        self.arrivals: list[Actor] = []  #: and what it does for guests of others.
        self.asked: list[_Asked] = []
        self._renewed_at = float("-inf")
        surroundings.hosts[name] = self
        self.is_known = False  #: Whether its process has said that it is there.
        self.cloud = self._begin()
        self.come()

    @property
    def is_awake(self) -> bool:
        """Whether it can do anything now."""
        return self._time.now >= self.held_until

    @property
    def is_free(self) -> bool:
        """Whether it can begin something."""
        return len(self.actors) < self._at_once

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
            elsewhere=_Beside(self),
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

        def come(tx: Transaction) -> None:
            hosts.come(tx, self.name, self.cloud.worker.id, self._room, self._time.now)
            if was_given_up:
                start_lost(tx, ports)

        ports.database.write(come)
        self.is_known = True

    def begin(self, what: str, work: Callable[[], Any]) -> Actor:
        """Have it do something; it must be free."""
        actor = Actor(f"{self.name} {what}", work)
        self.actors.append(actor)
        return actor

    def does(self, what: str) -> bool:
        """Whether it is doing that just now."""
        return any(actor.name == f"{self.name} {what}" for actor in self.actors)

    def work(self) -> bool:
        """Begin a task, if it has a lease or finds one that is due; whether it does."""
        self.renew()
        database, worker = self.cloud.ports.database, self.cloud.worker
        with database.read() as tx:
            mine = tasks.tasks.all(tx, owner=worker.id, status="Processing")
        doing = {actor.about for actor in self.actors}
        for task in [one for one in mine if one.id not in doing] or worker.claim(self.clock()):
            actor = self.begin(f"{task.action} of {task.resource}", lambda task=task: self._attempt(task))  # type: ignore[misc]
            actor.about = task.id
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
        self.end()
        self.machines.lose_ways()
        self.close()
        self.is_known = False
        self.held_until = self.cut_until = 0.0
        self._renewed_at = float("-inf")
        self.cloud = self._begin()

    def end(self) -> None:
        """End what it does where it is."""
        for actor in (*self.actors, *self.arrivals):
            actor.die()
            actor.join()
        for one in self.asked:
            one.leave()
        self.actors, self.arrivals, self.asked = [], [], []

    def put_away(self) -> None:
        """Remove the overlays that were made ahead."""
        cast("Qcow2Pool", self.cloud.ports.pool).put_away()

    def close(self) -> None:
        """Let go of the database and the pool."""
        self.put_away()
        self.cloud.ports.database.close()
