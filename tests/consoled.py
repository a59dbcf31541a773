"""Machines that are only states, with serial consoles: what a guest would print and read, a test does."""

from __future__ import annotations

import errno
import socket
from pathlib import Path
from queue import SimpleQueue

from kiln.machines.errors import MachineBusy
from kiln.machines.none import NoMachines
from tests.stock import InstanceStatus, an_instance


class Consoled(NoMachines):
    """*guests* are the far ends of the consoles that were connected to, in their order."""

    def __init__(self, folder: Path, printed: bytes = b"") -> None:
        super().__init__(folder)
        self.guests: SimpleQueue[socket.socket] = SimpleQueue()
        self.is_busy = False
        self.is_unreadable = False
        self._printed = printed
        self._ends: list[socket.socket] = []

    def terminal(self, instance: str) -> socket.socket:
        self._require(instance)
        if self.is_busy:
            raise MachineBusy("Another program is connected.")
        ours, guests = socket.socketpair()
        guests.settimeout(300)
        self._ends.append(guests)
        self.guests.put(guests)
        return ours

    def close(self) -> None:
        """Close what no test has."""
        for end in self._ends:
            end.close()

    def console(self, instance: str) -> bytes:
        if self.is_unreadable:
            raise OSError(errno.EMFILE, "Too many open files")
        return self._printed


def a_running_instance(cloud, **changes) -> str:
    """A running instance of a host whose machines are only states."""
    instance = an_instance(cloud, status=InstanceStatus.RUNNING, **changes).id
    (cloud.folder / "run" / instance).mkdir(parents=True)
    (cloud.folder / "run" / instance / "running").touch()
    return instance
