"""What tells a process from every other, here and on other hosts, so that who reads it knows whether it lives."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from kiln.ground.short_files import read_short_text
from kiln.ground.values import dataclass

_BOOT = Path("/proc/sys/kernel/random/boot_id")
_SPACE = Path("/proc/self/ns/pid")
_ENDED = ("Z", "X")  #: How the kernel calls a process of which only the number is left.
_STATE, _BEGAN = 0, 19  #: Fields of ``/proc/PID/stat`` behind the program's name. Source: proc(5).


@dataclass(frozen=True)
class Whereabouts:
    """Where a process runs, and which it is. A number alone may be another process's by now."""

    host: str  #: For people: two hosts may have one name.
    boot: str  #: Of the host, as the kernel names it; another one each time.
    space: str  #: Of the numbers of processes: a container has its own.
    pid: int
    began: str  #: In the kernel's ticks since the boot.

    def lives(self) -> bool | None:
        """Whether the process lives; None where this one cannot know, as of another host."""
        if (self.boot, self.space) != (boot(), _space()):
            return None
        return _began(self.pid) == self.began


def boot() -> str:
    """What names this host's present boot."""
    return read_short_text(_BOOT).strip()


def own() -> Whereabouts:
    """This process's."""
    pid = os.getpid()
    return Whereabouts(host=socket.gethostname(), boot=boot(), space=_space(), pid=pid, began=_began(pid))


def _space() -> str:
    return str(_SPACE.readlink())


def _began(pid: int) -> str:
    """When the living process of that number began; empty where there is none."""
    try:
        # The program's name stands in parentheses, and may have some itself.
        fields = read_short_text(Path(f"/proc/{pid}/stat")).rpartition(")")[2].split()
    except (OSError, ValueError):
        return ""
    return "" if fields[_STATE] in _ENDED else fields[_BEGAN]
