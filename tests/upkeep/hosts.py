"""Two or three hosts of one deployment, of which each has machines of its own that are only states."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import replace

from kiln.calls.elsewhere import Alone
from kiln.calls.errors import ServiceUnavailableHostSilent
from kiln.calls.plane import Plane
from kiln.declare.states import InstanceStatus
from kiln.machines.errors import MachineError
from kiln.machines.none import NoMachines
from kiln.machines.runfiles import CABLE
from kiln.networks.errors import NetworkError
from kiln.networks.memory import MemoryNetworks
from kiln.store import hosts, tasks
from kiln.store.hosts import Room
from kiln.store.instances import instances
from kiln.store.leaving import MOVE
from kiln.upkeep.live import NotAwaited, end_left, receive
from kiln.upkeep.moves import ask_for, beside
from tests.operations.instances.things import status_of
from tests.reading import the
from tests.stock import an_instance
from tests.store.test_hosts import come

PLENTY, LITTLE = Room(cpus=64, memory_mib=1 << 17), Room(cpus=64, memory_mib=256)


class Beside(Alone):
    """What the other of the two does when it is asked, without a connection between them."""

    def __init__(self, two):
        self.two = two

    def entrance(self, _, host, instance, make):
        came = Future()
        try:
            came.set_result(receive(self.two.ports_of(host), instance, make))
        except (NotAwaited, MachineError, NetworkError) as error:
            came.set_exception(ServiceUnavailableHostSilent(host=host, reason=str(error)))
        return came


class Two:
    """Two hosts of one deployment, each with machines of its own; what is done is done by the one that it *is*."""

    names = ("one", "two")
    elsewhere = Beside  #: What the one is to the other.

    def __init__(self, cloud, kind=NoMachines):
        self.cloud, self.planes = cloud, {}
        self.machines = {name: kind(cloud.folder / name / "run") for name in self.names}
        for name in self.machines:
            come(cloud.ports.database, name, f"of-{name}", PLENTY)
        self.write(lambda tx: hosts.set_draining(tx, "one", is_draining=True))
        self.be("one")

    def write(self, work):
        return self.cloud.ports.database.write(work)

    def join(self, stack):
        """Have both carry networks, and their machines cables to these."""
        database = self.cloud.ports.database
        for name, machines in self.machines.items():
            networks = MemoryNetworks(self.cloud.folder / name / "networks")
            self.planes[name] = Plane(database, networks, machines, name, lambda: "", beside=beside)
            stack.callback(self.planes[name].close)

    def be(self, name):
        self.cloud.refit(elsewhere=self.elsewhere(self), is_alone=False, **self._parts_of(name))

    def ports_of(self, name):
        return replace(self.cloud.ports, **self._parts_of(name))

    def _parts_of(self, name):
        return {"host": name, "machines": self.machines[name], "plane": self.planes.get(name)}

    def running(self):
        """An instance that runs on the first, with a cable where there are networks."""
        self.be("one")
        row = an_instance(self.cloud, status=InstanceStatus.RUNNING, started_at=self.cloud.clock(), host="one")
        marker = self.cloud.folder / "one" / "run" / row.id / "running"
        marker.parent.mkdir(parents=True)
        marker.write_text(CABLE if self.planes else "")
        return row.id

    def ask(self, instance, **how):
        return self.write(lambda tx: ask_for(tx, instances.find(tx, id=instance), self.cloud.clock(), **how)).id

    def settle(self):
        """What either can do is done; leases that a kill left are given back, and pauses pass at once."""
        self.write(tasks.release_all)
        for name in 2 * self.names:
            self.write(lambda tx: tasks.tasks.update(tx, {"not_before": 0.0}))
            self.be(name)
            self.cloud.settle()
            end_left(self.cloud.ports)

    def where(self, instance):
        """Its status, the host of its row, and where machines of it run."""
        on = [name for name, machines in self.machines.items() if machines.is_running(instance)]
        return status_of(self.cloud, instance), the(self.cloud, instances, id=instance).host, on

    def task(self, instance):
        return the(self.cloud, tasks.tasks, resource=instance, action=MOVE)


class Three(Two):
    """Another to which a guest of the first may go."""

    names = ("one", "two", "three")
