"""One life of some hosts, all of it drawn from a seed, and what has to hold when it is over.

Callers ask for images, snapshots, their deletion, starts and stops, each at any host, and ask
again with the same ClientToken where they were not answered. Meanwhile hosts die, stand still for
longer than a lease lasts, lose the way to the database while the pool stays within reach, and have
their clocks set. Who is silent for longer than the grace is given up, and its instances start
elsewhere. Then all of it is over, and everything comes to rest.
"""

from __future__ import annotations

import random
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, cast

from kiln.calls.call import Ports
from kiln.calls.sizes import size_in
from kiln.declare.errors import ApiError
from kiln.declare.states import DiskStatus, InstanceStatus
from kiln.ground import killpoints
from kiln.pools.qcow2 import Qcow2Pool
from kiln.store import hosts, schema
from kiln.store.database import open_sqlite
from kiln.store.disks import disks
from kiln.store.errors import DatabaseDown
from kiln.store.instances import instances
from kiln.store.tasks import is_lane_busy
from kiln.upkeep.live import end_left
from kiln.upkeep.lost_hosts import give_up
from kiln.upkeep.sweep import sweep
from kiln.upkeep.watch import watch
from tests.clouds import Cloud, make_cloud
from tests.kill import checks
from tests.kill.kilns import keep
from tests.kill.scenarios import an_instance_with, fill
from tests.reading import every
from torment.simulated.actors import Actor, rest_at
from torment.simulated.hosts import ONE, Host, Surroundings, Time

NAMES = ("a", "b", "c")  #: Of the hosts.
CALLERS = 3
ASKED = 5  #: Calls of each caller.

_BYTES = ([[11, 12, 0, 13], [21, 0, 22, 23]], [[51, 52, 53, 54]])  #: Of the disks of the two instances there are.
_WRITES = 1 / 25  #: How often a guest writes at a step, if it can.
_COMES = 1 / 12  #: How often a host that is heard of again says so.
_MOST_STEPS = 20_000
_MOST_IDLE = 2_000  #: Times that nobody has anything to do, each of them five seconds.
_HALF = 0.5
_MINUTE = 60.0
_GRACE_S = 60.0  #: After which a host that is silent is given up.


@dataclass
class Stock:
    """Where a life begins: a folder with some instances, which is copied for each."""

    folder: Path
    instances: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def lay_out(cls, folder: Path, what: Sequence[Sequence[checks.Bytes]]) -> Stock:
        """Make it in *folder*, with instances whose disks hold that."""
        database = open_sqlite(folder / "kiln.sqlite")
        try:
            schema.create(database)
            cloud = make_cloud(folder, database)
            made = [an_instance_with(cloud, *blocks) for blocks in what]
            cast("Qcow2Pool", cloud.ports.pool).put_away()
        finally:
            database.close()
        # By their IDs, where they are alike: what is done by the order of IDs is the same in each life of a seed.
        return cls(folder, sorted(made, key=lambda one: (-len(one["disks"]), one["instance"])))


@dataclass
class Guest:
    """What writes on an instance's disks: a number that grows, on each of them the same."""

    facts: dict[str, Any]
    number: int = 0

    def blocks(self, number: int) -> list[checks.Bytes]:
        """What the disks hold when *number* was written last."""
        return [[*blocks, number] if number else blocks for blocks in self.facts["bytes"]]


@dataclass(frozen=True)
class Made:
    """An image that somebody asked for: of whom, and the numbers that it may hold, by when it was asked for."""

    guest: Guest
    first: int
    last: int


class Lost(Exception):
    """Something that was promised is not there, or is something else."""


class Caller:
    """Asks for one thing after the other; an answer that did not come is asked for again."""

    def __init__(self, life: Life, number: int) -> None:
        self.number = number
        self._life = life
        self._asked = 0
        self._open: tuple[str, dict[str, Any], Callable[[dict[str, Any]], None]] | None = None
        self.waits_for: Actor | None = None

    @property
    def is_done(self) -> bool:
        """Whether it has been answered all that it wanted to ask."""
        return self._open is None and self._asked == ASKED

    def turn(self, host: Host) -> None:
        """Ask *host*, which has nothing to do, for what is to be asked next."""
        if self._open is None:
            self._asked += 1
            self._open = self._life.draw(f"{self.number}-{self._asked}")
        action, params, _ = self._open
        self.waits_for = host.begin(f"answers {action}", lambda: host.cloud.call(action, **params))

    def hear(self) -> None:
        """Take the answer, or that there is none."""
        actor, self.waits_for = self.waits_for, None
        assert actor is not None
        assert self._open is not None
        if actor.error is None:
            self._open[2](actor.result)
        elif isinstance(actor.error, ApiError) and actor.error.status < 500:  # It is refused.
            pass
        else:
            return  # Nobody knows what became of it.
        self._open = None


class Life:
    """See the module's docstring."""

    asks: tuple[str, ...] = ("image", "image", "look", "delete", "snapshot", "start", "start", "stop")
    holds: Sequence[Sequence[checks.Bytes]] = _BYTES  #: The bytes of each disk of each instance that there is.
    fault = 1 / 12  #: How often something goes wrong at a step.
    fares_ill: tuple[str, ...] = ("dies", "is held", "is held", "is cut off", "has its clock set")

    def __init__(self, stock: Stock, folder: Path, chance: random.Random) -> None:
        subprocess.run(["cp", "-a", stock.folder, folder], check=True)
        self._stock, self._folder, self._chance = stock, folder, chance
        self.time = Time()
        self.surroundings = Surroundings(self.time)
        self.hosts = self._found_hosts()
        self._sweeper = self.hosts[0]
        self._callers = [Caller(self, number) for number in range(CALLERS)]
        self.told: list[str] = []  #: What happened, for whoever has to see why.
        self._guests = [Guest(facts) for facts in stock.instances]
        self._images: dict[str, Made] = {}  #: That somebody was told of.
        self._deleted: set[str] = set()  #: Images whose deletion somebody began.
        self._available: set[str] = set()  #: That somebody was told to be.

    def _found_hosts(self) -> list[Host]:
        return [Host(name, self._folder, self.surroundings, room=ONE) for name in NAMES]

    @property
    def is_over(self) -> bool:
        """Whether nothing more is to happen but that all comes to rest."""
        return all(caller.is_done for caller in self._callers)

    def run(self) -> None:
        """Live, and come to rest. Raises Lost, AssertionError, or what nobody foresaw."""
        killpoints.listen(rest_at)
        try:
            for _ in range(_MOST_STEPS):
                if self.is_over:
                    break
                self._step()
                self._require_whole()
            else:
                raise Lost("callers are not answered")
            self._heal()
            self._come_to_rest()
        finally:
            for host in self.hosts:
                host.end()
            killpoints.listen(None)
        self._judge()

    def close(self) -> None:
        """Let go of everything, and remove the folder."""
        for host in self.hosts:
            host.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    # ---- one step

    def _step(self) -> None:
        if self._chance.random() < self.fault:
            self._go_wrong()
        if self._chance.random() < _WRITES:
            self._write(self._chance.choice(self._guests))
        self._look_for_lost()
        awake = [host for host in self.hosts if host.is_awake]
        if not awake:
            self.time.now = min(host.held_until for host in self.hosts)
            return
        host = self._chance.choice(awake)
        if not host.is_known and not host.is_cut:
            host.come()
        busy = [*host.actors, *host.arrivals]
        if busy and not (host.is_free and self._chance.random() < _HALF):
            self._chance.choice(busy).go_on()
            self._hear()
        elif not self._begin(host):
            self.time.now += self._chance.choice((0.01, 0.5, 5.0, 15.0))

    def _require_whole(self) -> None:
        """Raise Lost where a guest was run that must not be."""
        if self.surroundings.world.broken:
            raise Lost("; ".join(self.surroundings.world.broken))

    def _begin(self, host: Host) -> bool:
        """Have a host that has nothing to do begin something; whether it does."""
        kind = self._chance.choice(("task", "task", "call", "sweep", "watch"))
        if kind == "watch" and not host.does("watches"):
            host.begin("watches", lambda: self.keep_machines(host.cloud.ports))
            return True
        if kind == "sweep" and host is self._sweeper and not host.does("sweeps"):
            host.begin("sweeps", lambda: self.sweep(host.cloud.ports))
            return True
        waiting = [caller for caller in self._callers if caller.waits_for is None and not caller.is_done]
        if kind == "call" and waiting:
            self._chance.choice(waiting).turn(host)
            return True
        try:
            return host.work()
        except DatabaseDown:
            return False

    @staticmethod
    def keep_machines(ports: Ports) -> None:
        """What a host does for its machines again and again."""
        watch(ports)
        end_left(ports)

    def sweep(self, ports: Ports) -> None:
        """What one host does for all again and again."""
        sweep(ports)

    def _hear(self) -> None:
        for host in self.hosts:
            for actor in [one for one in host.arrivals if one.is_over]:
                host.arrivals.remove(actor)
                actor.join()
                self._look_at(actor)
            for actor in [one for one in host.actors if one.is_over]:
                host.actors.remove(actor)
                actor.join()
                for caller in self._callers:
                    if caller.waits_for is actor:
                        caller.hear()
                        break
                else:
                    self._look_at(actor)

    def _look_at(self, actor: Actor) -> None:
        """What ended without an answer to anybody may have failed for the network alone."""
        if actor.error is not None and not isinstance(actor.error, DatabaseDown):
            raise actor.error

    def _look_for_lost(self) -> None:
        """Give up who was silent for the grace; one that is heard of again says so at some moment after that."""
        heard = [host for host in self.hosts if host.is_awake and not host.is_cut]
        for host in self.hosts:
            if host in heard:
                if self.time.now > host.seen_at + _GRACE_S and self._chance.random() < _COMES:
                    host.come()
                    host.seen_at = self.time.now
                elif self.time.now <= host.seen_at + _GRACE_S:
                    host.seen_at = self.time.now
            elif heard and self.time.now > host.seen_at + _GRACE_S:
                self._give_up(host, heard[0])

    def _give_up(self, host: Host, by: Host) -> None:
        database = by.cloud.ports.database
        with database.read() as tx:
            if hosts.is_given_up(tx, host.name):
                return
        sizes = partial(size_in, by.cloud.ports.deployment)
        stopped = database.write(lambda tx: give_up(tx, host.name, "was silent", self.time.now, sizes))
        self.told.append(f"{host.name} is given up, with {len(stopped)} that ran")

    # ---- what goes wrong

    def _go_wrong(self) -> None:
        host = self._chance.choice(self.hosts)
        kind = self._chance.choice(self.fares_ill)
        lasts = self._chance.choice((1.0, 1.5 * _MINUTE, 5 * _MINUTE))
        self.told.append(f"{host.name} {kind}{''.join(f' at {one.point}' for one in host.actors)}, {lasts:g} s")
        if kind == "dies":
            self._die(host)
        elif kind == "is held":
            host.held_until = self.time.now + lasts
        elif kind == "is cut off":
            host.cut_until = self.time.now + lasts
            self._pass_on(host)
        elif kind == "loses its way to another":
            other = self._chance.choice([one for one in self.hosts if one is not host])
            self.surroundings.cut_until[frozenset({host.name, other.name})] = self.time.now + lasts
        else:
            host.offset_s += self._chance.choice((-1, 1)) * lasts

    def _die(self, host: Host) -> None:
        actors = list(host.actors)
        host.die()
        if self._chance.random() < _HALF:
            self._lose_power(host)
            self.told.append(f"{host.name} had no power")
        if self._chance.random() < _HALF:
            host.held_until = self.time.now + 2 * _MINUTE
        self._pass_on(host)
        for caller in self._callers:
            if caller.waits_for in actors:
                caller.hear()

    def _lose_power(self, host: Host) -> None:
        host.machines.lose_power()

    def _pass_on(self, host: Host) -> None:
        """The sweeper's duty goes to another when the database does not hear of its host any more."""
        if host is self._sweeper:
            self._sweeper = self._chance.choice([other for other in self.hosts if other is not host])

    # ---- what guests write

    def _write(self, guest: Guest) -> None:
        """Have a guest write, if nothing is asked of its instance: a capture would stop it for as long as it takes."""
        cloud = next((host.cloud for host in self.hosts if not host.is_cut), None)
        if cloud is None:
            return
        with cloud.ports.database.read() as tx:
            if is_lane_busy(tx, guest.facts["instance"]):
                return
            of = {row.id: row.volume for row in disks.all(tx, instance=guest.facts["instance"])}
        guest.number += 1
        self.told.append(f"guest {self._guests.index(guest)} writes {guest.number}")
        for disk, blocks in zip(guest.facts["disks"], guest.facts["bytes"], strict=True):
            fill(cloud, str(of[disk]), [*(0 for _ in blocks), guest.number])

    # ---- what is asked

    def draw(self, token: str) -> tuple[str, dict[str, Any], Callable[[dict[str, Any]], None]]:
        """What a caller asks for next: an action, its parameters, and what is to become of the answer."""
        kind = self._chance.choice(self.asks)
        if kind == "look" and self._images:
            image = self._chance.choice(list(self._images))
            return "DescribeImages", {"ImageId": image}, self._note_available
        if kind == "delete" and (left := [image for image in self._images if image not in self._deleted]):
            image = self._chance.choice(left)
            self._deleted.add(image)
            return "DeleteImage", {"ImageId": image, "Force": True}, lambda _: None
        guest = self._chance.choice(self._guests)
        if kind in ("start", "stop"):
            action = "StartInstance" if kind == "start" else "StopInstance"
            return action, {"InstanceId": guest.facts["instance"]}, lambda _: None
        if kind == "snapshot":
            disk = self._chance.choice(guest.facts["disks"])
            return "CreateSnapshot", {"DiskId": disk, "ClientToken": token}, lambda _: None
        params, first = {"InstanceId": guest.facts["instance"], "ClientToken": token}, guest.number
        return "CreateImage", params, lambda answer: self._note(answer, guest, first)

    def _note(self, answer: dict[str, Any], guest: Guest, first: int) -> None:
        self._images[answer["ImageId"]] = Made(guest, first, guest.number)

    def _note_available(self, answer: dict[str, Any]) -> None:
        self._available |= {row["ImageId"] for row in answer["Images"]["Image"] if row["Status"] == "Available"}

    # ---- the end

    def _heal(self) -> None:
        for host in self.hosts:
            host.held_until = host.cut_until = host.offset_s = 0.0
            host.come()
        self.surroundings.cut_until.clear()

    def _come_to_rest(self) -> None:
        idle = 0
        for _ in range(_MOST_STEPS):
            actors = [actor for host in self.hosts for actor in (*host.actors, *host.arrivals)]
            for actor in actors:
                actor.go_on()
            self._hear()
            self._require_whole()
            begun = [host.work() for host in self.hosts if host.is_free]
            if actors or any(begun):
                continue
            if not self.hosts[0].cloud.open_tasks():
                for host in self.hosts:
                    self.keep_machines(host.cloud.ports)
                self._require_whole()
                return
            self._pass_time()
            idle += 1
            if idle == _MOST_IDLE:
                break
        raise Lost(f"tasks without end: {self.hosts[0].cloud.open_tasks()}")

    def _pass_time(self) -> None:
        """What happens while nobody has anything to do."""
        self.time.now += 5.0

    def _judge(self) -> None:
        cloud = self.hosts[0].cloud
        keep(cloud)
        for host in self.hosts:
            host.put_away()
        for image in self._images.keys() - self._deleted:
            self._judge_image(cloud, image)
        for guest in self._guests:
            self._judge_machines(cloud, guest.facts["instance"])
            for disk, blocks in zip(guest.facts["disks"], guest.blocks(guest.number), strict=True):
                checks.disk_holds(cloud, disk, blocks)
        checks.nothing_is_halfway(cloud)
        checks.every_name_is_kept(cloud)
        checks.nothing_is_astray(cloud)
        assert all(disk.status == DiskStatus.IN_USE for disk in every(cloud, disks))

    def _judge_machines(self, cloud: Cloud, instance: str) -> None:
        """A machine runs where the instance's row says, and no other does."""
        (row,) = every(cloud, instances, id=instance)
        runs = [host.name for host in self.hosts if host.machines.is_running(instance)]
        assert runs == ([row.host] if row.status == InstanceStatus.RUNNING else []), (row.status, row.host, runs)

    def _judge_image(self, cloud: Cloud, image: str) -> None:
        """It holds what its instance held at some time since it was asked for, all disks of the same time."""
        rows = cloud.call("DescribeImages", ImageId=image, Status="ALL")["Images"]["Image"]
        if image not in self._available and [row["Status"] for row in rows] == ["CreateFailed"]:
            return
        made = self._images[image]
        for number in range(made.first, made.last + 1):
            try:
                checks.image_holds(cloud, image, made.guest.blocks(number))
            except AssertionError:
                if number == made.last:
                    raise
            else:
                return
