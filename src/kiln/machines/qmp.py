"""QMP, QEMU's control protocol: a line of JSON out, lines of JSON in.

QEMU serves one connection at a time and lets the next wait, so connections are
short: open one, send a few commands, close it. Nothing is kept between them, so
a restarted Kiln simply connects again. Events are passed over, since what an
event said is gone when the one who must know it was not connected; whoever
needs a state asks for it.

Why not QEMU's own ``qemu.qmp``: docs/design/0006-qmp-by-hand.md.
https://www.qemu.org/docs/master/interop/qmp-spec.html
"""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kiln.declare.units import KiB, MiB
from kiln.machines import sockets
from kiln.machines.errors import MachineMissing, MachineRefused, MachineSilent

TIMEOUT_S = 20.0  #: For one answer. QEMU's slowest commands wait for the disks to drain.
_LONGEST_LINE = 64 * MiB  #: A QEMU that its guest has taken over may send without end. 17 deep chains fill 1 MiB.
_READ_AT_ONCE = 64 * KiB


class Session:
    """One open connection."""

    def __init__(self, connection: socket.socket, timeout_s: float) -> None:
        self._connection = connection
        self._timeout_s = timeout_s
        self._received = bytearray()
        self._sent = 0  #: Commands so far; a command's number is its ID.

    def negotiate(self) -> None:
        """Hear the greeting and enter the mode in which commands are taken.

        Raises MachineSilent when QEMU does not greet, MachineMissing.
        """
        deadline = time.monotonic() + self._timeout_s
        try:
            # QEMU greets by itself, so what it is asked next need not wait for that.
            numbers = self._send("qmp_capabilities", [{}])
            if "QMP" not in self._object(deadline):
                raise MachineMissing("What listens is not QEMU.")
            self._answers(numbers, deadline)
        except TimeoutError as error:
            raise MachineSilent(f"QEMU did not greet within {self._timeout_s:.0f} s.") from error
        except (EOFError, OSError, ValueError) as error:
            raise MachineMissing("QEMU ended before it greeted.") from error

    def execute(self, command: str, arguments: Mapping[str, object] | None = None) -> Any:
        """Send a command and return its answer.

        Raises MachineRefused with QEMU's words, MachineSilent, and
        MachineMissing when QEMU ended meanwhile.
        """
        return self.execute_each(command, [arguments or {}])[0]

    def execute_each(self, command: str, each: Sequence[Mapping[str, object]]) -> list[Any]:
        """Send a command once for each of the arguments, and return the answers in that order.

        QEMU carries them out in order, but none waits for the answer to the one
        before it. A refusal does not keep the later ones from being carried
        out; the first is raised when all are answered. Raises as ``execute``
        does; all answers together have the time that one has there.
        """
        deadline = time.monotonic() + self._timeout_s
        try:
            answers = self._answers(self._send(command, each), deadline)
        except TimeoutError as error:
            raise MachineSilent(f"QEMU did not answer {command} within {self._timeout_s:.0f} s.") from error
        except (EOFError, OSError, ValueError) as error:
            raise MachineMissing(f"QEMU ended during {command}.") from error
        for answer in answers:
            if "error" in answer:
                raise MachineRefused(f"{command}: {answer['error'].get('desc')}")
        return [answer["return"] for answer in answers]

    def _send(self, command: str, each: Sequence[Mapping[str, object]]) -> range:
        """Send commands; returns their numbers."""
        numbers = range(self._sent, self._sent + len(each))
        self._sent = numbers.stop
        lines = [
            json.dumps({"execute": command, "arguments": arguments, "id": number})
            for number, arguments in zip(numbers, each, strict=True)
        ]
        self._connection.settimeout(self._timeout_s)
        self._connection.sendall("\n".join([*lines, ""]).encode())
        return numbers

    def _answers(self, numbers: range, deadline: float) -> list[dict[str, Any]]:
        """The answers to these commands. An earlier one's, which came too late for it, is passed over like an event."""
        answers: dict[Any, dict[str, Any]] = {}
        while len(answers) < len(numbers):
            message = self._object(deadline)
            if message.get("id") in numbers and ("return" in message or isinstance(message.get("error"), dict)):
                answers[message["id"]] = message
        return [answers[number] for number in numbers]

    def _object(self, deadline: float) -> dict[str, Any]:
        """The next line. Raises TimeoutError, OSError, EOFError, and ValueError for what QEMU does not send."""
        message = json.loads(self._line(deadline))
        if not isinstance(message, dict):
            raise ValueError("QEMU speaks in objects")  # noqa: TRY004 - it is about what came, not about types.
        return message

    def _line(self, deadline: float) -> bytes:
        searched = 0
        while (end := self._received.find(b"\n", searched)) < 0:
            searched = len(self._received)
            if searched > _LONGEST_LINE:
                raise ValueError("QEMU has less to say")
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError
            self._connection.settimeout(left)
            received = self._connection.recv(_READ_AT_ONCE)
            if not received:
                raise EOFError
            self._received += received
        line = bytes(self._received[:end])
        del self._received[: end + 1]
        return line


@contextmanager
def open_session(path: Path, timeout_s: float = TIMEOUT_S) -> Iterator[Session]:
    """Connect to the QMP socket at *path*.

    Raises MachineMissing when no QEMU listens and MachineSilent when it does
    not greet, which is also so while somebody else keeps it busy.
    """
    try:
        connection = sockets.connect(path, timeout_s)
    except TimeoutError as error:
        raise MachineSilent(f"QEMU did not take a connection within {timeout_s:.0f} s.") from error
    except OSError as error:
        raise MachineMissing("No QEMU listens for commands.") from error
    with connection:
        session = Session(connection, timeout_s)
        session.negotiate()
        yield session


def execute(path: Path, command: str, timeout_s: float = TIMEOUT_S) -> Any:
    """One command over a connection of its own; raises as :meth:`Session.execute` and :func:`open_session` do."""
    with open_session(path, timeout_s) as session:
        return session.execute(command)
