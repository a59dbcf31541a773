"""Talking to a small guest over its serial console: one command, one answer.

Commands are those of ``init.sh``: ``write PATH TEXT``, ``read PATH``, ``sum
PATH``, ``remove PATH``, ``fill PATH MIB``, ``sync``, ``mount``, ``unmount
PATH``, ``disks``, ``seq start``, ``seq stop``, ``agent start``, ``agent stop``,
``network``, ``fetch URL``, ``serve PORT TEXT``, ``run COMMAND``, ``uptime``,
``cmdline``, ``reboot``, ``poweroff``, ``help``.

The guest echoes what is typed, for people at a terminal; an answer is a line that has ``>> `` in it.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from kiln.guest.errors import GuestRefused, GuestSilent
from kiln.guest.image import READY
from kiln.machines import sockets

#: Emulated, an idle one needs less than 8 s, by UEFI and with two processors 30 s; beside others a dozen times that.
READY_TIMEOUT_S = 600.0
ANSWER_TIMEOUT_S = 300.0
_KNOCK_EVERY_S = 1.0


class Console(Protocol):
    """The guest's serial console: a socket, or what is read and written like one. Raises as a socket does."""

    def settimeout(self, value: float, /) -> None: ...
    def sendall(self, data: bytes, /) -> None: ...
    def recv(self, bufsize: int, /) -> bytes: ...


class Session:
    """An open console of a guest that has come up."""

    def __init__(self, console: Console) -> None:
        self.console = console  #: Another one may take its place, where somebody else was let to the guest meanwhile.
        self._received = b""

    def wait_ready(self, timeout_s: float = READY_TIMEOUT_S) -> None:
        """Return when the guest obeys commands, and every answer to what was asked before is read. Raises GuestSilent.

        What is shown first may be of long ago, and of a guest that has begun anew since. So once it has said that it is
        up it is asked for a file of a name that nobody knew, until it answers that there is none.
        """
        deadline, rest_s, mark = time.monotonic() + timeout_s, _KNOCK_EVERY_S, ""
        while time.monotonic() < deadline:
            until = min(deadline, time.monotonic() + rest_s)
            mark = self._knock(is_up=bool(mark))
            while (line := self._line(until)) is not None:
                if mark and f">> error no file {mark}" in line:
                    return
                if READY in line and not mark:
                    mark = self._knock(is_up=True)
            # A slow one is given longer each time: it answers each, and the last answer counts.
            rest_s *= 2 if mark else 1
        raise GuestSilent(f"The guest did not come up within {timeout_s:.0f} s.")

    def ask(self, command: str, timeout_s: float = ANSWER_TIMEOUT_S) -> str:
        """Send a command and return the text of its answer. Raises GuestRefused, GuestSilent."""
        self._send(command)
        deadline = time.monotonic() + timeout_s
        while (line := self._line(deadline)) is not None:
            # What was sent comes back first, and may have in it what an answer begins with.
            if line.endswith(command) and not line.startswith(">> "):
                continue
            # The kernel may print to the console too.
            _, found, answer = line.partition(">> ")
            verdict, _, text = answer.partition(" ")
            if found and verdict == "ok":
                return text
            if found and verdict == "error":
                raise GuestRefused(f"{command}: {text}")
        raise GuestSilent(f"The guest did not answer {command!r} within {timeout_s:.0f} s.")

    def _knock(self, *, is_up: bool) -> str:
        """Send an empty line, which is answered with READY too, for those who were not connected when it was printed.

        Of one that *is_up* a question instead, whose mark is returned. Raises GuestSilent.
        """
        mark = f"/run/{secrets.token_hex(8)}" if is_up else ""
        try:
            self.console.settimeout(0)
            self.console.sendall(f"read {mark}\n".encode() if is_up else b"\n")
        except BlockingIOError:
            # One that has not come up takes nothing: after some dozens of knocks no more go in, and those will do.
            pass
        except OSError as error:
            raise GuestSilent("The guest's console is closed.") from error
        return mark

    def _send(self, line: str) -> None:
        try:
            self.console.settimeout(ANSWER_TIMEOUT_S)
            self.console.sendall(line.encode() + b"\n")
        except TimeoutError as error:
            raise GuestSilent(f"The guest took nothing from its console within {ANSWER_TIMEOUT_S:.0f} s.") from error
        except OSError as error:
            raise GuestSilent("The guest's console is closed.") from error

    def _line(self, deadline: float) -> str | None:
        """The next line, or None when none has come by the deadline."""
        while b"\n" not in self._received:
            left = deadline - time.monotonic()
            if left <= 0:
                return None
            self.console.settimeout(left)
            try:
                received = self.console.recv(4096)
            except TimeoutError:
                return None
            except OSError as error:
                raise GuestSilent("The guest's console is closed.") from error
            if not received:
                raise GuestSilent("The guest's machine has ended.")
            self._received += received
        line, _, self._received = self._received.partition(b"\n")
        return line.decode(errors="replace").rstrip("\r")


@contextmanager
def open_session(console: Path, timeout_s: float = READY_TIMEOUT_S) -> Iterator[Session]:
    """A session with the guest whose serial console is the Unix socket *console*, once it is up.

    Only one can be connected at a time. Raises GuestSilent.
    """
    try:
        connection = sockets.connect(console, timeout_s)
    except OSError as error:
        raise GuestSilent(f"The guest's console cannot be connected to: {error}.") from error
    with connection:
        session = Session(connection)
        session.wait_ready(timeout_s)
        yield session
