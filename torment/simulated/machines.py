"""Machines of simulated hosts: states, with the locks that QEMU has on what a machine writes on whichever host."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from kiln.ground.killpoints import reach
from kiln.machines.errors import MachineRefused
from kiln.machines.none import NoMachines
from kiln.machines.port import Machine, at_once

Locks = dict[str, str]  #: By instance, the host whose machine has its disks open.


class LockedMachines(NoMachines):
    """Those of one host. A machine lives on when its host's process dies, and not when the host does."""

    def __init__(self, folder: Path, host: str, locks: Locks) -> None:
        super().__init__(folder)
        self._host, self._locks = host, locks

    def start(self, machine: Machine, may_run: Callable[[], None] = at_once) -> None:
        """As a state; refused where another host's machine has the disks."""
        reach("machines.locking")
        if self._locks.setdefault(machine.instance, self._host) != self._host:
            raise MachineRefused('Failed to get "write" lock')
        if not self.is_running(machine.instance):
            try:
                may_run()
            except BaseException:
                del self._locks[machine.instance]
                raise
        marker = self._marker(machine.instance)
        marker.parent.mkdir(parents=True, exist_ok=True)
        marker.touch()

    def stop(self, instance: str, force: bool) -> None:
        """As a state, whose locks go with it."""
        super().stop(instance, force)
        self._let_go(instance)

    def lose_power(self) -> None:
        """End all of them."""
        for instance in list(self.running()):
            self._marker(instance).unlink()
            self._let_go(instance)

    def _let_go(self, instance: str) -> None:
        if self._locks.get(instance) == self._host and not self.is_running(instance):
            del self._locks[instance]
