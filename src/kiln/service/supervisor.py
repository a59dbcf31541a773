"""Tells the supervisor that started Kiln, such as systemd with ``Type=notify``, when it serves and when it ends.

One that has set a watchdog (``WatchdogSec``) is told meanwhile that Kiln is at work, twice in that time. That ceases
when the event loop stands still, since it is what tells, and when a part has ended: it is started anew then.

The protocol is that of sd_notify(3): a datagram of ``NAME=value`` lines to the
socket that ``NOTIFY_SOCKET`` names. Without that variable nobody is told. The
watchdog's time is in ``WATCHDOG_USEC``, for the process ``WATCHDOG_PID``.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Sequence

from kiln.ground.journal import Journal

log = Journal("kiln.service")

READY, STOPPING, ALIVE = "READY=1", "STOPPING=1", "WATCHDOG=1"
_WAITS_S = 2.0  #: A supervisor that reads nothing holds nobody up for longer.


def tell_supervisor(state: str, text: str) -> None:
    """Tell the *state*, with a line of *text* that ``systemctl status`` shows. That it cannot be told is logged."""
    _tell(f"{state}\nSTATUS={text}", _WAITS_S)


class Watchdog:
    """The supervisor's watchdog, if it has set one for this process; *dead* names the parts that have ended."""

    def __init__(self, dead: Callable[[], Sequence[str]]) -> None:
        self._dead = dead
        self._every_s = _watchdog_s() / 2
        self._told_at = float("-inf")
        self._is_silent = False

    def look(self) -> None:
        """Say that Kiln is at work, if it is and it is time to. Called some times a second, on the event loop."""
        now = time.monotonic()
        if not self._every_s or now - self._told_at < self._every_s:
            return
        if dead := self._dead():
            if not self._is_silent:
                log.error("watchdog_left_alone", ended=list(dead))
            self._is_silent = True
            return
        self._told_at = now
        _tell(ALIVE, 0.0)


def _watchdog_s() -> float:
    """The time within which this process is to be heard of; 0 where nobody waits for it."""
    whose, microseconds = os.environ.get("WATCHDOG_PID", ""), os.environ.get("WATCHDOG_USEC", "")
    if not microseconds.isdigit() or (whose and whose != str(os.getpid())):
        return 0.0
    return int(microseconds) / 1_000_000


def _tell(words: str, within_s: float) -> None:
    name = os.environ.get("NOTIFY_SOCKET", "")
    if not name:
        return
    # A name that begins with @ is in the abstract namespace, whose names begin with a zero byte.
    place = "\0" + name[1:] if name.startswith("@") else name
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as supervisor:
            supervisor.settimeout(within_s)
            supervisor.connect(place)
            supervisor.sendall(words.encode())
    except OSError as error:
        log.warning("supervisor_not_told", state=words.partition("\n")[0], reason=error.strerror or str(error))
