"""The walls around a tool that is let near bytes: memory, time, and an end when Kiln ends.

util-linux's ``setpriv`` and ``prlimit`` build them in the new process itself,
so that no Python runs between fork and exec.
"""

from __future__ import annotations

from kiln.ground.units import GiB
from kiln.ground.values import dataclass

#: The whole environment of every tool: nothing of Kiln's own leaks in, messages are in English, and threads share
#: one heap, so that the limit on addresses counts memory and not reservations.
ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LC_ALL": "C",
    "MALLOC_ARENA_MAX": "1",
}


_GRACE_S = 5


@dataclass(frozen=True)
class Limits:
    """What one run of a tool may take; None means that it is not bounded."""

    memory_bytes: int | None = 2 * GiB  #: Address space. Above 256 MiB, copies need what they need with 2 MiB buffers.
    cpu_s: int | None = None
    file_bytes: int | None = None  #: The longest file that it may write.


def walled(command: list[str], limits: Limits) -> list[str]:
    """The command that runs *command* within *limits* and kills it when the thread that started it ends."""
    walls = ["setpriv", "--pdeathsig", "KILL", "--", "prlimit", "--core=0"]
    if limits.memory_bytes is not None:
        walls.append(f"--as={limits.memory_bytes}")
    if limits.cpu_s is not None:
        # A signal that can be answered comes before the one that can't.
        walls.append(f"--cpu={limits.cpu_s}:{limits.cpu_s + _GRACE_S}")
    if limits.file_bytes is not None:
        walls.append(f"--fsize={limits.file_bytes}")
    return [*walls, "--", *command]
