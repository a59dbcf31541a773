"""Machines of simulated hosts: what QEMU keeps of a guest and its disks on whichever host, and who may write when.

A guest has a memory, here a number: how often it has written to its disks, as far as it knows. Whenever it goes on and
writes, that number has to be what the disks hold. So a guest that runs twice, or that goes on from a memory of before,
is seen at its next write, whatever locks let it come to that.

What a machine is in, is what QEMU's is (``kiln.machines.moving``): it outlives its host's process, and not its host's
power. The marks are files, as there, and outlive both. The tests of ``tests/contract/test_moving.py`` are passed by
both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

from kiln.ground.killpoints import reach
from kiln.machines.errors import GuestStays, MachineMissing, MachineRefused, MachineSilent
from kiln.machines.none import NoMachines
from kiln.machines.port import Chain, Check, GoesOn, Machine, Make, at_once, to_the_end

_STILL_S = 60.0  #: As ``kiln.machines.moving.STILL_S``.
_PIECES = 6  #: In which a guest's memory goes; between two of them all else may happen.
_LOOKS_AGAIN_S = 5.0


class Status(Enum):
    """What a machine is in, by the words that QEMU has for it."""

    BEGINS = "prelaunch"  #: It has its disks, and its guest has not begun.
    RUNS = "running"
    WAITS = "inmigrate"  #: For a guest that has not come yet.
    HAS_COME = "paused"  #: With all of a guest.
    STOPS = "finish-migrate"  #: The last of its guest is on its way.
    HAS_LEFT = "postmigrate"  #: All of its guest has come elsewhere.
    STANDS = "internal-error"  #: It was not sent, and could not take its disks back.


@dataclass(eq=False)
class Process:
    """The program of one machine."""

    status: Status
    memory: int = 0
    boot: int = 0  #: Which of the instance's boots its guest is of.


@dataclass
class World:
    """What machines of all hosts have in common."""

    locks: dict[str, str] = field(default_factory=dict)  #: By instance, the host whose machine has its disks to write.
    written: dict[str, int] = field(default_factory=dict)  #: By instance, what its disks hold.
    boots: dict[str, int] = field(default_factory=dict)  #: By instance, how often it was started.
    broken: list[str] = field(default_factory=list)  #: What must never be, and was.
    lost: list[tuple[str, int, str]] = field(default_factory=list)  #: Guests that ended: instance, boot, where.
    hosts: dict[str, SimulatedMachines] = field(default_factory=dict)
    #: Whether two hosts reach each other, and whether the second carries on what comes to it just now.
    are_joined: Callable[[str, str], bool] = lambda *_: True
    carries: Callable[[str], bool] = lambda _: True
    sleep: Callable[[float], None] = lambda _: None

    def guests(self, instance: str, boot: int) -> list[str]:
        """The hosts on which a guest is, whole."""
        found = {name: one.process(instance) for name, one in self.hosts.items()}
        return [name for name, one in found.items() if one is not None and one.boot == boot]


class Way:
    """A connection to a machine that waits, the only one that it takes."""

    def __init__(self, there: SimulatedMachines, instance: str, process: Process) -> None:
        self.there, self.process = there, process
        self._instance, self._is_closed = instance, False

    def close(self) -> None:
        """End it: a machine to which not all has come ends by itself."""
        self._is_closed = True
        if self.process.status is Status.WAITS and self.is_there():
            self.there.end(self._instance)

    def is_there(self) -> bool:
        """Whether the machine is there to which it leads."""
        return self.there.process(self._instance) is self.process

    def is_open_from(self, host: str) -> bool:
        """Whether what *host* sends by it comes there sooner or later."""
        return not self._is_closed and self.is_there() and self.there.world.are_joined(host, self.there.host)


class SimulatedMachines(NoMachines):
    """Those of one host; see the module."""

    def __init__(self, folder: Path, host: str, world: World, *, program: str = "none") -> None:
        super().__init__(folder)
        self.host, self.world, self._program = host, world, program
        self._processes: dict[str, Process] = {}
        self._ways: dict[str, Way] = {}
        self._held_now: set[str] = set()
        world.hosts[host] = self

    # ---- what the simulation does

    def process(self, instance: str) -> Process | None:
        """The program of an instance's machine."""
        return self._processes.get(instance)

    def end(self, instance: str) -> None:
        """Have a machine be gone, with its locks and what is on its way to it or from it; its marks stay."""
        process = self._processes.pop(instance, None)
        if process is None:
            return
        if self.world.locks.get(instance) == self.host:
            del self.world.locks[instance]
        if (way := self._ways.pop(instance, None)) is not None:
            way.close()
        if process.boot and not self.world.guests(instance, process.boot):
            self.world.lost.append((instance, process.boot, self.host))

    def lose_power(self) -> list[str]:
        """End all of them; returns their instances."""
        ended = list(self.running())
        for instance in ended:
            self.end(instance)
        return ended

    def lose_ways(self) -> None:
        """As it is when this host's process ends, by which guests come: what has not come whole is nobody's."""
        for instance, way in list(self._ways.items()):
            if way.there is self:
                del self._ways[instance]
                way.close()

    def write(self, instance: str) -> None:
        """Have the guest of a machine that runs write to its disks."""
        process = self._processes.get(instance)
        if process is None or process.status is not Status.RUNS:
            return
        on_disk = self.world.written.get(instance, 0)
        if self.world.locks.get(instance) != self.host:
            self.world.broken.append(f"{instance} writes on {self.host}, whose machine has no lock of its disks")
        if process.memory != on_disk:
            told = f"its memory is of {process.memory}, and its disks are of {on_disk}"
            self.world.broken.append(f"{instance} goes on on {self.host}: {told}")
        process.memory = self.world.written[instance] = on_disk + 1

    # ---- the port

    def start(self, machine: Machine, may_run: Callable[[], None] = at_once) -> None:
        """See ``port.Machines``."""
        instance = machine.instance
        with self._held(instance):
            process = self._process_unless_between(instance)
            if process is None:
                reach("machines.before_start")
                self._lock(instance)
                self._clear_marks(machine)
                process = self._processes[instance] = Process(Status.BEGINS)
                reach("machines.spawned")
            if process.status is Status.BEGINS:
                try:
                    may_run()
                except Exception:  # Not a kill, which leaves it as it is.
                    self.end(instance)
                    raise
                process.boot = self.world.boots[instance] = self.world.boots.get(instance, 0) + 1
                process.memory = self.world.written.get(instance, 0)
                self._run(instance, process)
            reach("machines.started")

    def stop(self, instance: str, force: bool) -> None:  # noqa: ARG002 - no guest is asked.
        """See ``port.Machines``."""
        if instance not in self._processes:
            return
        reach("machines.before_stop")
        self.end(instance)
        reach("machines.stopped")

    def make(self, instance: str) -> Make:
        """See ``port.Machines``."""
        self._require(instance)
        return Make(program=self._program, board="none", engine="none", is_cabled=self.is_cabled(instance))

    def receive(self, machine: Machine, make: Make) -> None:
        """See ``port.Machines``."""
        instance = machine.instance
        with self._held(instance):
            if self._process_unless_between(instance) is not None:
                raise MachineRefused(f"The machine of {instance} runs here already.")
            reach("machines.before_start")
            self._clear_marks(machine)
            self._between(instance, "arriving").touch()
            self._processes[instance] = Process(Status.WAITS)
            reach("machines.spawned")
            found = self.make(instance)
            if found != make:
                self.end(instance)
                raise MachineRefused(f"A running guest cannot come from {make} to {found}: they must be the same.")
        reach("machines.started")
        reach("machines.waiting")

    def entrance(self, instance: str) -> Any:
        """See ``port.Machines``; what it gives is no socket, but is closed as one is."""
        process = self._processes.get(instance)
        if process is None or process.status is not Status.WAITS or instance in self._ways:
            raise MachineMissing(f"No machine waits for the guest of {instance}.")
        way = self._ways[instance] = Way(self, instance, process)
        return way

    def migrate(
        self,
        instance: str,
        entrance: Callable[[], Any],
        goes_on: GoesOn = to_the_end,
        chains: Sequence[Chain] = (),  # noqa: ARG002 - nothing is encrypted.
    ) -> None:
        """See ``port.Machines``."""
        with self._held(instance):
            self._require(instance)
            process = self._processes[instance]
            leaving = self._between(instance, "leaving")
            if leaving.exists() and process.status is Status.HAS_LEFT:
                reach("machines.left")
                return
            if process.status is not Status.RUNS:
                leaving.unlink(missing_ok=True)
                raise GuestStays(f"The guest of {instance} does not run: it is {process.status.value}.")
            try:
                way: Way = entrance()
            except MachineMissing as error:
                leaving.unlink(missing_ok=True)
                raise MachineRefused(str(error)) from error
            try:
                reach("machines.before_leave")
                leaving.touch()
                reach("machines.leaving")
                why = self._send(instance, process, way, goes_on)
                if not why:
                    process.status = Status.HAS_LEFT
            finally:
                # What carries it ends with whoever sends, also where that is killed.
                self._ways.pop(instance, None)
                self._take_back(instance, process)
                way.close()
            if why:
                self._recall(instance, at_once)
                kind = GuestStays if why == _CALLED_OFF else MachineRefused
                raise kind(f"The guest of {instance} could not be sent: {why}.")
            reach("machines.left")

    def _send(self, instance: str, process: Process, way: Way, goes_on: GoesOn) -> str:
        """Send the memory; why that did not come to its end, empty where it did."""
        self._ways[instance] = way
        for piece in range(_PIECES):
            if not self._carry(instance, process, way):
                return _NOT_SAID
            if not goes_on(100.0 * piece / _PIECES):
                return _CALLED_OFF
            self.write(instance)
            reach("machines.sending")
        if self._processes.get(instance) is not process:
            return "its machine has ended"
        process.status = Status.STOPS
        self.world.locks.pop(instance, None)
        reach("machines.stands_still")
        if not self._carry(instance, process, way):
            return _NOT_SAID
        way.process.memory, way.process.boot = process.memory, process.boot
        way.process.status = Status.HAS_COME
        reach("machines.has_come")
        return "" if self._carry(instance, process, way) else _NOT_SAID

    def _carry(self, instance: str, process: Process, way: Way) -> bool:
        """Whether what is sent comes there, once the other host's process does anything; the guest writes meanwhile."""
        waited = 0.0
        while way.is_open_from(self.host) and self._processes.get(instance) is process:
            if self.world.carries(way.there.host):
                return True
            if waited >= _STILL_S:
                break
            waited += _LOOKS_AGAIN_S
            self.world.sleep(_LOOKS_AGAIN_S)
            self.write(instance)
            reach("machines.stalls")
        return False

    def recall(self, instance: str, may_run: Callable[[], None] = at_once) -> None:
        """See ``port.Machines``."""
        with self._held(instance):
            may_run()
            self._recall(instance, may_run)

    def _recall(self, instance: str, may_run: Callable[[], None]) -> None:
        reach("machines.before_recall")
        if self._between(instance, "arriving").exists():
            raise MachineRefused(f"The guest of {instance} has not run here, and can only be taken over.")
        self._require(instance)
        process = self._processes[instance]
        if process.status is not Status.RUNS:
            self._hold_disks(instance, may_run)
            self._run(instance, process)
        reach("machines.goes_on")
        self._between(instance, "leaving").unlink(missing_ok=True)
        reach("machines.recalled")

    def take_over(
        self,
        instance: str,
        may_run: Check = at_once,
        chains: Sequence[Chain] = (),  # noqa: ARG002 - see migrate.
        keep_out: Check | None = None,
    ) -> None:
        """See ``port.Machines``."""
        with self._held(instance):
            arriving = self._between(instance, "arriving")
            process = self._processes.get(instance)
            if process is None:
                if arriving.exists():
                    raise MachineRefused(f"The machine that had the guest of {instance} ended before that ran.")
                raise MachineMissing(f"No machine runs for {instance}.")
            try:
                self._let_go_on(instance, process, may_run, keep_out)
            except MachineRefused as error:
                if arriving.exists():
                    raise
                why = f"The guest of {instance} may have run here, and does not go on: {error}"
                raise MachineSilent(why) from error
            reach("machines.taken_over")

    def _let_go_on(self, instance: str, process: Process, may_run: Check, keep_out: Check | None) -> None:
        if process.status is Status.WAITS:
            raise MachineRefused(f"The guest of {instance} has not come.")
        reach("machines.before_take_over")
        reach("machines.told")
        if process.status is not Status.RUNS:
            self._hold_disks(instance, may_run)
        self._between(instance, "arriving").unlink(missing_ok=True)
        reach("machines.arrived")
        if process.status is not Status.RUNS:
            if keep_out is not None:
                keep_out()
            self._run(instance, process)
        reach("machines.runs")

    def is_running(self, instance: str) -> bool:
        """See ``port.Machines``."""
        return instance in self._processes

    def running(self) -> Iterator[str]:
        """See ``port.Machines``."""
        yield from sorted(self._processes)

    def wake(self, instance: str) -> bool:
        """See ``port.Machines``."""
        self._require(instance)
        if self._processes[instance].status is Status.BEGINS:
            self.end(instance)
        return False

    # ---- what QEMU does

    def _lock(self, instance: str) -> None:
        if self.world.locks.setdefault(instance, self.host) != self.host:
            raise MachineRefused(f'Another machine has the lock of {instance}: failed to get "write" lock')

    def _hold_disks(self, instance: str, may_run: Callable[[], None]) -> None:
        """As ``kiln.machines.moving`` does it: the locks first, which it keeps whatever is answered."""
        self._lock(instance)
        reach("machines.disks_held")
        may_run()

    def _run(self, instance: str, process: Process) -> None:
        process.status = Status.RUNS
        self.write(instance)

    def _take_back(self, instance: str, process: Process) -> None:
        """What QEMU does by itself where the last of a guest did not come: it takes the disks, and goes on."""
        if process.status is Status.STOPS and self._processes.get(instance) is process:
            process.status = Status.STANDS
            if self.world.locks.setdefault(instance, self.host) == self.host:
                self._run(instance, process)

    def _process_unless_between(self, instance: str) -> Process | None:
        """The machine that is there; one whose guest never ran here, or has gone, is ended first."""
        if instance in self._processes and self.is_between(instance):
            self.end(instance)
        return self._processes.get(instance)

    def _clear_marks(self, machine: Machine) -> None:
        marker = self._marker(machine.instance)
        marker.parent.mkdir(parents=True, exist_ok=True)
        for mark in ("arriving", "leaving"):
            self._between(machine.instance, mark).unlink(missing_ok=True)

    @contextmanager
    def _held(self, instance: str) -> Iterator[None]:
        """One conversation with a machine at a time, as its run folder's lock has it."""
        while instance in self._held_now:
            reach("machines.waits_for_its_turn")
        self._held_now.add(instance)
        try:
            yield
        finally:
            self._held_now.discard(instance)


_CALLED_OFF = "it was called off"
_NOT_SAID = "the other host did not say in time that all had come"
