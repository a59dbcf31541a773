"""QMP, QEMU's control protocol: a line of JSON out, lines of JSON in.

QEMU serves one connection at a time and lets the next wait, so connections are
short: open one, send a few commands, close it. Nothing is kept between them, so
a restarted Kiln simply connects again. Events are passed over, since what an
event said is gone when the one who must know it was not connected; whoever
needs a state asks for it. So are answers to the connection before, which QEMU
writes to whoever is connected by then, even before it greets.

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

from kiln.ground.strict_json import Numbers
from kiln.ground.units import KiB, MiB
from kiln.machines import sockets
from kiln.machines.errors import MachineGarbled, MachineMissing, MachineRefused, MachineSilent
from kiln.machines.hearing import Hearing, mapping, parse, text_or_none, words

TIMEOUT_S = 20.0  #: For one conversation. QEMU's slowest commands wait for the disks to drain.
_LONGEST_ANSWER = 256 * KiB  #: To what has a short answer.
_LONGEST_GRAPH = 8 * MiB  #: What is told of all block nodes: 17 chains of 20 layers fill half a MiB.
_GRAPHS = ("query-named-block-nodes", "x-debug-query-block-graph")
_MEASURES = ("query-migrate",)  #: Whose answers have numbers in them that are not whole.
_UNASKED = 1000  #: Events and late answers that are passed over in one conversation.


class Session:
    """One open connection, on which all has been said after *timeout_s*."""

    def __init__(self, connection: socket.socket, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._hearing = Hearing(connection, time.monotonic() + timeout_s)
        self._sent = 0  #: Commands so far; a command's number is its ID.
        self._unasked = 0
        self._hail = range(0)

    def hail(self) -> None:
        """Ask for the mode in which commands are taken; QEMU greets by itself, so this need not wait for that.

        Commands may be sent behind it, which QEMU takes in order, but no answer
        be waited for before ``negotiate``. Raises as that does.
        """
        with self._before_greeting():
            self._hail = self._send("qmp_capabilities", [{}])

    def negotiate(self) -> None:
        """Hear the greeting and the answer to ``hail``.

        QEMU takes a connection a moment before it begins the conversation anew: what happens between is told as to the
        connection before, events and the answer that it did not wait for, which may be to any command.

        Raises MachineSilent when QEMU does not greet, MachineGarbled, MachineMissing.
        """
        with self._before_greeting():
            while "QMP" not in (message := parse(self._hearing.line(_LONGEST_GRAPH), Numbers.AS_THEY_ARE)):
                if "event" not in message and not _is_answer(message):
                    raise MachineGarbled("What listens is not QEMU.")
                self._pass_over()
            self._answers(self._hail, _LONGEST_GRAPH, Numbers.AS_THEY_ARE)

    @contextmanager
    def _before_greeting(self) -> Iterator[None]:
        try:
            yield
        except TimeoutError as error:
            raise MachineSilent(f"QEMU did not greet within {self._timeout_s:.0f} s.") from error
        except (EOFError, OSError) as error:
            raise MachineMissing("QEMU ended before it greeted.") from error

    def execute(self, command: str, arguments: Mapping[str, object] | None = None) -> Any:
        """Send a command and return its answer, of which nothing is certain but that it is JSON (see ``hearing``).

        Raises MachineRefused with QEMU's words, MachineSilent, MachineGarbled,
        and MachineMissing when QEMU ended meanwhile.
        """
        return self.execute_each(command, [arguments or {}])[0]

    def execute_each(self, command: str, each: Sequence[Mapping[str, object]]) -> list[Any]:
        """Send a command once for each of the arguments, and return the answers in that order.

        QEMU carries them out in order, but none waits for the answer to the one
        before it. A refusal does not keep the later ones from being carried
        out; the first is raised when all are answered. Raises as ``execute``
        does.
        """
        return self.finish(command, self.begin(command, each))

    def hand_over(self, name: str, descriptor: int) -> None:
        """Give QEMU an open file, which commands name from then on. Raises as ``execute`` does."""
        with self._during("getfd"):
            numbers = self._send("getfd", [{"fdname": name}], [descriptor])
        self.finish("getfd", numbers)

    def begin(self, command: str, each: Sequence[Mapping[str, object]]) -> range:
        """Send commands whose answers ``finish`` waits for; returns their numbers. Raises as ``execute`` does."""
        with self._during(command):
            return self._send(command, each)

    def finish(self, command: str, numbers: range, within_s: float | None = None) -> list[Any]:
        """The answers to what ``begin`` sent. Raises as ``execute`` does.

        MachineSilent after *within_s* does not end the conversation: it may be called again.
        """
        longest = _LONGEST_GRAPH if command in _GRAPHS else _LONGEST_ANSWER
        as_numbers = Numbers.AS_THEY_ARE if command in _MEASURES else Numbers.WHOLE
        last = self._hearing.deadline
        if within_s is not None:
            self._hearing.deadline = min(last, time.monotonic() + within_s)
        try:
            with self._during(command):
                answers = self._answers(numbers, longest, as_numbers)
        finally:
            self._hearing.deadline = last
        for answer in answers:
            if "error" in answer:
                raise MachineRefused(f"{command}: {words(text_or_none(mapping(answer, 'error'), 'desc'))}")
        return [answer["return"] for answer in answers]

    @contextmanager
    def _during(self, command: str) -> Iterator[None]:
        try:
            yield
        except TimeoutError as error:
            raise MachineSilent(f"QEMU did not answer {command} within {self._timeout_s:.0f} s.") from error
        except (EOFError, OSError) as error:
            raise MachineMissing(f"QEMU ended during {command}.") from error

    def _send(self, command: str, each: Sequence[Mapping[str, object]], descriptors: Sequence[int] = ()) -> range:
        numbers = range(self._sent, self._sent + len(each))
        self._sent = numbers.stop
        lines = [
            json.dumps({"execute": command, "arguments": arguments, "id": number})
            for number, arguments in zip(numbers, each, strict=True)
        ]
        self._hearing.send("\n".join([*lines, ""]).encode(), descriptors)
        return numbers

    def _answers(self, numbers: range, longest: int, as_numbers: Numbers = Numbers.WHOLE) -> list[dict[str, Any]]:
        """The answers to these commands. An earlier one's, which came too late for it, is passed over like an event."""
        answers: dict[int, dict[str, Any]] = {}
        while len(answers) < len(numbers):
            message = parse(self._hearing.line(longest), as_numbers)
            number = message.get("id")
            if _is_answer(message) and type(number) is int and number in numbers and number not in answers:
                answers[number] = message
                continue
            self._pass_over()
        return [answers[number] for number in numbers]

    def _pass_over(self) -> None:
        """Count what nobody asked for. Raises MachineGarbled when that is more than QEMU ever says."""
        self._unasked += 1
        if self._unasked > _UNASKED:
            raise MachineGarbled("QEMU says more than it was asked for.")


def _is_answer(message: Mapping[str, object]) -> bool:
    return "return" in message or isinstance(message.get("error"), dict)


@contextmanager
def open_session(path: Path, timeout_s: float | None = None) -> Iterator[Session]:
    """Connect to the QMP socket at *path*, for a conversation of *timeout_s* in all, or of TIMEOUT_S.

    Raises MachineMissing when no QEMU listens and MachineSilent when it does
    not greet, which is also so while somebody else keeps it busy.
    """
    with hail(path, timeout_s) as session:
        session.negotiate()
        yield session


@contextmanager
def hail(path: Path, timeout_s: float | None = None) -> Iterator[Session]:
    """As ``open_session``, but without waiting for the greeting: whoever does, calls ``negotiate``."""
    timeout_s = TIMEOUT_S if timeout_s is None else timeout_s
    began = time.monotonic()
    try:
        connection = sockets.connect(path, timeout_s)
    except TimeoutError as error:
        raise MachineSilent(f"QEMU did not take a connection within {timeout_s:.0f} s.") from error
    except OSError as error:
        raise MachineMissing("No QEMU listens for commands.") from error
    with connection:
        session = Session(connection, max(0.0, timeout_s - (time.monotonic() - began)))
        session.hail()
        yield session


def execute(path: Path, command: str, timeout_s: float | None = None) -> Any:
    """One command over a connection of its own; raises as :meth:`Session.execute` and :func:`open_session` do."""
    with open_session(path, timeout_s) as session:
        return session.execute(command)
