"""Machines that are states alone, whose firmware keeps a text."""

from __future__ import annotations

from kiln.machines.errors import MachineSilent
from kiln.machines.none import NoMachines
from kiln.machines.port import at_once
from kiln.machines.variables import pack

FRESH = pack(b"as from the factory")
OTHER = pack(b"boot from the second disk")
NEWER = pack(b"boot from the network")
DAMAGED = "what no firmware takes"


class Flash(NoMachines):
    """See the module's docstring."""

    is_silent = False  #: Whether it says nothing when a guest is to go on in one of them.

    def take_over(self, instance, may_run=at_once, chains=(), keep_out=None):
        if self.is_silent:
            raise MachineSilent("It does not answer.")
        super().take_over(instance, may_run, chains, keep_out)

    def _start(self, machine, may_run, *, waits=False):
        has_newest = machine.has_variables or not machine.variables
        if not has_newest or self.variables(machine.instance) in ("", DAMAGED):
            self.write(machine.instance, machine.variables or FRESH)
        super()._start(machine, may_run, waits=waits)

    def write(self, instance, text):
        """As its guest does."""
        path = self._folder / instance / "uefi-variables"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def variables_at(self):
        return {path.parent.name: path.stat().st_mtime_ns for path in self._folder.glob("*/uefi-variables")}

    def variables(self, instance):
        path = self._folder / instance / "uefi-variables"
        return path.read_text() if path.exists() else ""
