"""What is kept of one VPC on disk, ``<networks>/<vpc>/``, and how its living keeper is found.

A keeper holds a lock of the kernel's on a file of the folder. The kernel says
whose it is, and takes it from a process that has ended: no number that is
another's by now is ever believed.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import signal
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kiln.ground import strict_json
from kiln.ground.journal import Journal
from kiln.ground.short_files import read_short
from kiln.ground.strict_json import Numbers
from kiln.ground.units import MiB
from kiln.ground.values import dataclass
from kiln.machines.process import Process
from kiln.machines.runfolder import RunFolder
from kiln.networks import records
from kiln.networks.errors import NetworkInvalid
from kiln.networks.values import Place

_MOST_BYTES = 64 * MiB
_LOCK = struct.Struct("hhqqi4x")  #: ``struct flock`` of a 64-bit Linux.
log = Journal("kiln.networks")


@dataclass(frozen=True)
class PlaceFolder(RunFolder):
    """The folder of one VPC; it need not exist. Its lock keeps everybody else from changing the VPC."""

    @property
    def place_file(self) -> Path:
        return self.path / "place.json"

    @property
    def ports_file(self) -> Path:
        return self.path / "ports.json"

    @property
    def alive(self) -> Path:
        return self.path / "alive"

    @property
    def egress(self) -> Path:
        return self.path / "egress"

    @property
    def control(self) -> Path:
        return self.path / "control"

    def cable(self, interface: str) -> Path:
        return self.path / "cables" / interface

    def place(self) -> Place | None:
        """What is held; None also where it cannot be read, which is told to the log."""
        try:
            return records.from_text(read_short(self.place_file, _MOST_BYTES))
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, NetworkInvalid, ValueError) as error:
            log.warning("network_not_readable", file=str(self.place_file), reason=str(error))
            return None

    def keep(self, place: Place) -> None:
        _put(self.place_file, records.to_text(place))

    def ports(self) -> dict[str, dict[int, int]]:
        """By public address, the guest's ports and those of the address that lead to them."""
        try:
            text = read_short(self.ports_file, _MOST_BYTES).decode()
            said = strict_json.read(text, Numbers.AS_THEY_ARE, is_bounded=True)
            return {str(a): {int(guest): int(host) for guest, host in ports.items()} for a, ports in said.items()}
        except (OSError, ValueError, AttributeError, TypeError, RecursionError):
            return {}

    def keep_ports(self, ports: dict[str, dict[int, int]]) -> None:
        _put(self.ports_file, json.dumps(ports))

    @contextmanager
    def keeper(self) -> Iterator[Process | None]:
        """The living keeper if there is one, held by a descriptor that never comes to stand for another process."""
        pid = holder_of(self.alive)
        try:
            descriptor = None if pid is None else os.pidfd_open(pid)
        except ProcessLookupError:
            descriptor = None
        if pid is None or descriptor is None:
            yield None
            return
        try:
            # Looked at again: the number might have gone to another process before the descriptor was taken.
            yield Process(pid, descriptor) if holder_of(self.alive) == pid else None
        finally:
            os.close(descriptor)

    def is_carried(self) -> bool:
        """Whether a keeper lives."""
        return holder_of(self.alive) is not None

    def has_egress(self) -> bool:
        """Whether an egress lives."""
        return holder_of(self.egress) is not None

    def end_keeper(self, within_s: float) -> bool:
        """End the keeper and all that it carries; whether it has ended."""
        with self.keeper() as process:
            if process is None:
                return True
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(process.descriptor, signal.SIGKILL)
            return process.is_gone(within_s)

    def interfaces(self) -> list[str]:
        """Those that there are folders for."""
        with contextlib.suppress(FileNotFoundError):
            return sorted(path.name for path in (self.path / "cables").iterdir())
        return []

    def remove_cable(self, interface: str) -> None:
        shutil.rmtree(self.cable(interface), ignore_errors=True)


def holder_of(path: Path) -> int | None:
    """The number of the process that holds a file's lock."""
    try:
        file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        asked = _LOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
        kind, _, _, _, pid = _LOCK.unpack(fcntl.fcntl(file, fcntl.F_GETLK, asked))
        return None if kind == fcntl.F_UNLCK else pid
    finally:
        os.close(file)


def _put(path: Path, text: str) -> None:
    draft = path.with_suffix(".new")
    draft.write_text(text)
    draft.replace(path)
