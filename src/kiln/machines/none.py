"""Machines that are only states: for tests and for containers without QEMU.

An instance "runs" when a marker lies in its run folder, so states survive a
restart of Kiln. No guest ever runs.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from kiln.ground.killpoints import reach
from kiln.ground.short_files import read_short_text
from kiln.machines.errors import GuestStays, MachineMissing, MachineRefused
from kiln.machines.port import Chain, Check, Drive, GoesOn, Machine, Make, at_once, to_the_end
from kiln.machines.runfiles import CABLE

_CONSOLE = b"No guest runs here: this Kiln keeps its machines as states only (machines: none).\r\n"


class NoMachines:
    """See the module's docstring. *folder* is the data folder's ``run``."""

    kind = "none"

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def start(self, machine: Machine, may_run: Callable[[], None] = at_once) -> None:
        self._start(machine, may_run)

    def _start(self, machine: Machine, may_run: Callable[[], None], *, waits: bool = False) -> None:
        marker = self._marker(machine.instance)
        reach("machines.before_start")
        may_run()
        marker.parent.mkdir(parents=True, exist_ok=True)
        for mark in ("arriving", "leaving"):
            self._between(machine.instance, mark).unlink(missing_ok=True)
        if waits:
            self._between(machine.instance, "arriving").touch()
        if not marker.exists():
            marker.write_text(CABLE if machine.cable is not None else "")
        reach("machines.started")

    def stop(self, instance: str, force: bool) -> None:  # noqa: ARG002 - the port's; a state is off at once either way.
        reach("machines.before_stop")
        self._marker(instance).unlink(missing_ok=True)
        reach("machines.stopped")

    def reboot(self, instance: str, force: bool) -> None:  # noqa: ARG002 - the port's; nothing runs that could differ.
        self._require(instance)

    def make(self, instance: str) -> Make:
        self._require(instance)
        return Make(program="none", board="none", engine="none", is_cabled=self.is_cabled(instance))

    def receive(self, machine: Machine, make: Make) -> None:  # noqa: ARG002 - the port's; one state is like another.
        self._start(machine, at_once, waits=True)

    def entrance(self, instance: str) -> None:
        """A state needs no way to come by."""
        self._require(instance)

    def migrate(
        self,
        instance: str,
        entrance: Callable[[], object],
        goes_on: GoesOn = to_the_end,
        chains: Sequence[Chain] = (),  # noqa: ARG002 - the port's; no state has disks.
    ) -> None:
        self._require(instance)
        if not self._between(instance, "leaving").exists():
            entrance()
            if not goes_on(0.0):
                raise GuestStays(f"The guest of {instance} could not be sent: it was called off.")
            reach("machines.before_leave")
            self._between(instance, "leaving").touch()
        reach("machines.left")

    def recall(self, instance: str, may_run: Callable[[], None] = at_once) -> None:
        self._require(instance)
        if self.has_come(instance):
            raise MachineRefused(f"The guest of {instance} has not run here, and can only be taken over.")
        may_run()
        reach("machines.before_recall")
        self._between(instance, "leaving").unlink(missing_ok=True)
        reach("machines.recalled")

    def take_over(
        self,
        instance: str,
        may_run: Check = at_once,
        chains: Sequence[Chain] = (),  # noqa: ARG002 - the port's.
        keep_out: Check | None = None,
    ) -> None:
        if not self.is_running(instance) and self.has_come(instance):
            raise MachineRefused(f"The machine that had the guest of {instance} ended before that ran.")
        self._require(instance)
        reach("machines.before_take_over")
        may_run()
        self._between(instance, "arriving").unlink(missing_ok=True)
        if keep_out is not None:
            keep_out()
        reach("machines.taken_over")

    def is_between(self, instance: str) -> bool:
        return any(self._between(instance, mark).exists() for mark in ("arriving", "leaving"))

    def has_come(self, instance: str) -> bool:
        return self._between(instance, "arriving").exists()

    def is_running(self, instance: str) -> bool:
        return self._marker(instance).exists()

    def went_with_host(self, instance: str) -> bool:  # noqa: ARG002 - the port's; a state outlives the host.
        return False

    def is_cabled(self, instance: str) -> bool:
        try:
            return read_short_text(self._marker(instance)) == CABLE
        except FileNotFoundError:
            return False

    def why_no_cable(self, architecture: str) -> str:  # noqa: ARG002 - the port's; a state can be joined to anything.
        return ""

    def adopt(self) -> list[str]:
        return []

    def variables_at(self) -> dict[str, int]:
        """No firmware keeps anything."""
        return {}

    def variables(self, instance: str) -> str:  # noqa: ARG002 - the port's.
        return ""

    def reach(self, instance: str) -> str:  # noqa: ARG002 - the port's; no guest ever listens.
        return ""

    def running(self) -> Iterator[str]:
        for marker in sorted(self._folder.glob("*/running")):
            yield marker.parent.name

    def wake(self, instance: str) -> bool:  # noqa: ARG002 - the port's; what does not run does not stop.
        return False

    def why_still(self, instance: str) -> str:  # noqa: ARG002 - the port's; a state stands in nobody's way.
        return ""

    def guest(self, instance: str) -> None:
        """No machine has a guest, so pools work on the files themselves."""

    def inside(self, instance: str) -> None:
        """No machine has a guest that could do anything."""

    def attach(self, instance: str, drive: Drive, may_use: Callable[[], None] = at_once) -> None:  # noqa: ARG002 - the port's.
        self._require(instance)
        may_use()

    def detach(self, instance: str, node: str) -> None:  # noqa: ARG002 - see attach.
        self._require(instance)

    def uid(self, instance: str) -> None:
        """No process needs access to a volume."""

    def console(self, instance: str) -> bytes:
        return _CONSOLE if self._marker(instance).parent.exists() else b""

    def terminal(self, instance: str) -> None:
        """No guest runs that could be typed to."""
        self._require(instance)

    def last_words(self, instance: str) -> str:  # noqa: ARG002 - the port's; a state says nothing.
        return ""

    def forget(self, instance: str) -> None:
        if self.is_running(instance):
            raise MachineRefused(f"The machine of {instance} runs.")
        shutil.rmtree(self._marker(instance).parent, ignore_errors=True)

    def _marker(self, instance: str) -> Path:
        return self._folder / instance / "running"

    def _between(self, instance: str, mark: str) -> Path:
        return self._folder / instance / mark

    def _require(self, instance: str) -> None:
        if not self.is_running(instance):
            raise MachineMissing(f"No machine runs for {instance}.")
