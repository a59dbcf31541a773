"""A life in which hosts are drained: their guests go to other hosts while they run, or by a stop and a start.

An operator has one host after the other be emptied, and used again, while callers stop, restart and delete what is
on its way, and all goes wrong that goes wrong in any life; also the network between two of the hosts alone. Several
things are done at once on each host, so that guests wait for their turns.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from kiln.calls.call import Ports
from kiln.service.draining import DrainingEnded, Emptying, Leaving
from kiln.store.database import open_sqlite
from kiln.store.hosts import Room, set_draining
from kiln.store.instances import instances
from kiln.store.leaving import MOVE
from kiln.store.tasks import Task, tasks
from kiln.upkeep.adoption import adopt
from kiln.upkeep.moves import being_sent, is_by_stop
from kiln.upkeep.moving import MOST_SENT
from kiln.upkeep.room import RoomWatch
from tests.clouds import Cloud
from tests.kill import checks
from tests.kill.kilns import keep
from torment.simulated.hosts import Host
from torment.simulated.life import NAMES, Guest, Life, Lost
from torment.simulated.machines import Status

_INSTANCES = 6

_AT_ONCE = 6  #: Tasks of a host, and calls that it answers.
_ROOMS = (2, 4, 8)  #: Instances that a host has room for, besides the first, which has room for all.
_DRAINS = 3  #: Hosts that are drained in a life.
_TURNS = 1 / 30  #: How often the operator does something at a step.
_ENDS = 1 / 6  #: How often that is to have the host used again.
_BY_STOP = 1 / 5
_MOST_ROUNDS = 20
#: What ends a machine, or has it begin anew, because somebody asked for that.
_ENDING = ("StopInstance", "RebootInstance", "DeleteInstance")


def _room(count: int) -> Room:
    return Room(cpus=count, memory_mib=512 * count)


class Moves(Life):
    """See the module's docstring."""

    holds = tuple([[number]] for number in range(1, _INSTANCES + 1))
    asks = ("image", "start", "start", "start", "start", "stop", "cut", "restart", "restart", "delete")
    fares_ill = (*Life.fares_ill, "loses its way to another", "loses its way to another")

    def _found_hosts(self) -> list[Host]:
        self.fault = self._chance.choice((1 / 12, 1 / 40, 1 / 160))
        self._drained: Emptying | None = None
        self._drained_name, self._drains_left = "", _DRAINS
        self._room_watch = RoomWatch(steady=lambda: self.time.now)
        self._operator = open_sqlite(self._folder / "kiln.sqlite")
        self._began: dict[tuple[str, int], float] = {}  #: By instance and boot.
        self._excused: list[tuple[float, str]] = []  #: When whose guests may have ended for what befell a host.
        rooms = [8, *(self._chance.choice(_ROOMS) for _ in NAMES[1:])]
        found = [
            Host(name, self._folder, self.surroundings, room=_room(room), at_once=_AT_ONCE)
            for name, room in zip(NAMES, rooms, strict=True)
        ]
        for facts in self._stock.instances:
            found[0].cloud.call("StartInstance", InstanceId=facts["instance"])
        found[0].cloud.settle()
        return found

    @property
    def is_over(self) -> bool:
        return super().is_over and not self._drains_left

    def close(self) -> None:
        self._operator.close()
        super().close()

    # ---- the operator

    def _step(self) -> None:
        if self._chance.random() < _TURNS:
            self._operate()
        super()._step()

    def _operate(self) -> None:
        if self._drained is None:
            # First the one on which all are, so that some have to wait for a turn.
            self._drained_name = NAMES[0] if self._drains_left == _DRAINS else self._chance.choice(NAMES)
            by_stop = self._chance.random() < _BY_STOP
            self.told.append(f"{self._drained_name} is drained{' by stop' if by_stop else ''}")
            self._set_draining(is_draining=True)
            self._drained = Emptying(self._operator, self._drained_name, self.time, by_stop=by_stop)
            self._look()
        elif self._chance.random() < _ENDS and self._drains_left > 1:
            self._drains_left -= 1
            self.told.append(f"{self._drained_name} is used again")
            self._set_draining(is_draining=False)
            self._drained = None
        else:
            self._drains_left = max(self._drains_left - (self._drains_left == 1), 0)  # The last goes on to the end.
            self._look()

    def _set_draining(self, *, is_draining: bool) -> None:
        self._operator.write(lambda tx: set_draining(tx, self._drained_name, is_draining=is_draining))

    def _look(self) -> list[Leaving] | None:
        """How far each is that is to leave; None where some are not there yet, as all of them are asked to leave."""
        assert self._drained is not None
        try:
            return self._drained.look()
        except (
            DrainingEnded
        ):  # On SQLite no process says that it serves a host; what is asked for is done all the same.
            return None

    # ---- what is asked

    def draw(self, token: str) -> tuple[str, dict[str, Any], Callable[[dict[str, Any]], None]]:
        kind = self._chance.choice(self.asks)
        guest = self._chance.choice(self._guests)
        instance: dict[str, Any] = {"InstanceId": guest.facts["instance"]}
        if kind == "image":
            return "CreateImage", {**instance, "ClientToken": token}, lambda _: None
        action, more = {
            "start": ("StartInstance", {}),
            "stop": ("StopInstance", {}),
            "cut": ("StopInstance", {"ForceStop": True}),
            "restart": ("RebootInstance", {"ForceStop": self._chance.random() < 1 / 2}),
            "delete": ("DeleteInstance", {"Force": True}),
        }[kind]
        return action, instance | more, lambda _: None

    def _write(self, guest: Guest) -> None:
        """Guests write as machines have them do it, not on the disks of the pool."""
        for host in self.hosts:
            host.machines.write(guest.facts["instance"])

    # ---- what has to hold

    def sweep(self, ports: Ports) -> None:
        self._room_watch(ports)
        super().sweep(ports)

    @staticmethod
    def keep_machines(ports: Ports) -> None:
        Life.keep_machines(ports)
        adopt(ports)

    def _give_up(self, host: Host, by: Host) -> None:
        self._excuse(host)
        super()._give_up(host, by)

    def _lose_power(self, host: Host) -> None:
        self._excuse(host)
        super()._lose_power(host)

    def _excuse(self, host: Host) -> None:
        with self._operator.read() as tx:
            there = {row.id for row in instances.all(tx, host=host.name)}
        self._excused += [(self.time.now, one) for one in sorted(there | set(host.machines.running()))]

    def _require_whole(self) -> None:
        super()._require_whole()
        world = self.surroundings.world
        for instance, boot in world.boots.items():
            self._began.setdefault((instance, boot), self.time.now)
        ended, world.lost = world.lost, []
        for instance, boot, host in ended:
            if not self._is_excused(instance, boot):
                raise Lost(f"the guest of {instance} was ended on {host}, which nobody had asked for")
        with self._operator.read() as tx:
            sent = being_sent(tx).values()
        for end in ("source", "target"):
            for name, count in Counter(getattr(one, end) for one in sent).items():
                if count > MOST_SENT:
                    raise Lost(f"{count} guests are sent at once, of which {name} is the {end}")

    def _is_excused(self, instance: str, boot: int) -> bool:
        began = self._began[instance, boot]
        if any(at >= began and one == instance for at, one in self._excused):
            return True
        with self._operator.read() as tx:
            row = instances.find(tx, id=instance)
            asked = tasks.all(tx, resource=instance)
        return row is None or any(_ends_it(task, began) for task in asked)

    def _come_to_rest(self) -> None:
        for _ in range(_MOST_ROUNDS):
            super()._come_to_rest()
            if (left := self._look()) is not None and all(one.is_over for one in left):
                break
        else:
            raise Lost(f"{self._drained_name} is drained without an end: {left}")
        with self._operator.read() as tx:
            there = {row.id: row.status for row in instances.all(tx, host=self._drained_name)}
        for instance, status in there.items():
            told = [one for one in left if one.instance == instance]
            if not told or not told[0].stays or ": " not in told[0].text:
                raise Lost(f"{instance} is {status} on {self._drained_name}, which is drained, and nobody says why")

    def _pass_time(self) -> None:
        super()._pass_time()
        self._room_watch(self.hosts[0].cloud.ports)

    def _judge(self) -> None:
        cloud = self.hosts[0].cloud
        keep(cloud)
        for host in self.hosts:
            host.put_away()
        for guest in self._guests:
            self._judge_machines(cloud, guest.facts["instance"])
        checks.nothing_is_halfway(cloud)
        checks.every_name_is_kept(cloud)
        checks.nothing_is_astray(cloud)

    def _judge_machines(self, cloud: Cloud, instance: str) -> None:
        """As any life's, and its guest runs, with no mark of a way that it went."""
        with cloud.ports.database.read() as tx:
            row = instances.find(tx, id=instance)
        if row is not None:
            super()._judge_machines(cloud, instance)
        for host in self.hosts:
            if (process := host.machines.process(instance)) is not None:
                assert row is not None, f"{instance} is no more, and runs on {host.name}"
                assert process.status is Status.RUNS, f"{instance} is {process.status.value} on {host.name}"
                assert not host.machines.is_between(instance), f"{instance} is marked on {host.name}"
                host.machines.write(instance)
        self._require_whole()


def _ends_it(task: Task, began: float) -> bool:
    """Whether a task may have ended the guest of a boot that began then."""
    if task.finished_at is not None and task.finished_at < began:
        return False
    return task.action in _ENDING or (task.action == MOVE and is_by_stop(task))
