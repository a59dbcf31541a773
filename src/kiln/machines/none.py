"""Machines that are only states: instances have real disks, and nothing runs.

For tests, and for CI containers without QEMU's system emulator. That an
instance runs is a file in its run folder, so it is still so after a restart.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from kiln.declare.killpoints import reach
from kiln.machines.port import Drive, Machine, RunningGuest

_CONSOLE = b"This instance has no machine: Kiln was started with machines = none.\n"


class NoMachines:
    """See the module's docstring."""

    kind = "none"

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def start(self, machine: Machine) -> None:
        """Note that it runs."""
        marker = self._marker(machine.instance)
        marker.parent.mkdir(parents=True, exist_ok=True)
        marker.touch()
        reach("machines.started")

    def stop(self, instance: str, force: bool) -> None:  # noqa: ARG002 - nothing can resist.
        """Note that it does not run."""
        self._marker(instance).unlink(missing_ok=True)
        reach("machines.stopped")

    def reboot(self, instance: str, force: bool) -> None:
        """Nothing to do: nothing runs."""

    def is_running(self, instance: str) -> bool:
        """Whether it was noted to run."""
        return self._marker(instance).exists()

    def running(self) -> Iterator[str]:
        """The instances that were noted to run."""
        return (marker.parent.name for marker in self._folder.glob("*/running"))

    def guest(self, instance: str) -> RunningGuest | None:  # noqa: ARG002 - nobody is there.
        """No guest, ever."""
        return None

    def attach(self, instance: str, drive: Drive) -> None:
        """Nothing to do: nothing runs."""

    def detach(self, instance: str, node: str) -> None:
        """Nothing to do: nothing runs."""

    def resize(self, instance: str, node: str, size_bytes: int) -> None:
        """Nothing to do: nothing runs."""

    def uid(self, instance: str) -> int | None:  # noqa: ARG002 - nothing runs as anybody.
        """No user of its own."""
        return None

    def console(self, instance: str) -> bytes:
        """A line that says why there is nothing to read."""
        return _CONSOLE if self._marker(instance).parent.exists() else b""

    def forget(self, instance: str) -> None:
        """Remove the run folder."""
        shutil.rmtree(self._folder / instance, ignore_errors=True)

    def _marker(self, instance: str) -> Path:
        return self._folder / instance / "running"
