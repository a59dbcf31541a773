"""The one reader of what comes out of a machine: QEMU and the guest agent may be in the hands of whoever broke in.

Nothing that is heard here can hold a conversation for longer than its deadline,
fill the memory, or keep the processor: lines are bounded in length and depth,
lines that nobody asked for are counted by whoever asks, and a line that trickles in byte by
byte is looked at a few times and not for every byte. Whatever is not what was
asked for raises MachineGarbled, and nothing else.
"""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from kiln.ground import strict_json
from kiln.ground.units import KiB
from kiln.machines.errors import MachineGarbled

DEEPEST = 64  #: Objects and lists within each other; what is asked of QEMU here is answered in 8.
_LONGEST_WORDS = 1000  #: Characters of an answer that are told on.

_READ_AT_ONCE = 64 * KiB
_TRICKLE = 512  #: A piece shorter than this that ends no line: whoever is well sends more at once, or the whole line.
_FIRST_REST_S, _LONGEST_REST_S = 0.001, 0.1
_STRINGS = re.compile(rb'"(?:[^"\\]|\\.)*"?', re.DOTALL)
_ALL_BUT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]+")


class Hearing:
    """One end of a conversation, heard until *deadline* (``time.monotonic``)."""

    def __init__(self, connection: socket.socket, deadline: float) -> None:
        self._connection = connection
        self._received = bytearray()
        self.deadline = deadline

    def left(self) -> float:
        """Seconds until the deadline. Raises TimeoutError when none are."""
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left

    def send(self, text: bytes, descriptors: Sequence[int] = ()) -> None:
        """Send it, and *descriptors* with its first byte, over a Unix socket. Raises TimeoutError, OSError."""
        self._connection.settimeout(self.left())
        sent = socket.send_fds(self._connection, [text], descriptors) if descriptors else 0
        self._connection.sendall(text[sent:])

    def line(self, longest: int, end: bytes = b"\n") -> bytes:
        """What comes before the next *end*.

        Raises TimeoutError, OSError, EOFError; MachineGarbled when it is longer than *longest* bytes.
        """
        self.left()
        searched, rest = 0, _FIRST_REST_S
        while (found := self._received.find(end, searched)) < 0:
            searched = len(self._received)
            if searched > longest:
                break
            self._connection.settimeout(self.left())
            received = self._connection.recv(_READ_AT_ONCE)
            if not received:
                raise EOFError
            self._received += received
            if len(received) < _TRICKLE and searched and end not in received:
                time.sleep(min(rest, self.left()))
                rest = min(2 * rest, _LONGEST_REST_S)
        if found < 0 or found > longest:
            raise MachineGarbled(f"It says more than {longest} bytes at once.")
        line = bytes(self._received[:found])
        del self._received[: found + len(end)]
        return line


def parse(line: bytes, numbers: strict_json.Numbers = strict_json.Numbers.WHOLE) -> dict[str, Any]:
    """An object in JSON, strictly. Raises MachineGarbled."""
    if _is_deep(line):
        raise MachineGarbled("It says something that is too deep.")
    try:
        # Hardly anything that is asked here is answered with a number that is not whole.
        said = strict_json.read(line.decode(), numbers, is_bounded=True)
    except ValueError as error:
        raise MachineGarbled("It says something that is not JSON as it should be.") from error
    return mapping(said)


def words(said: object) -> str:
    """What was said, fit to be told on to a person and a database: one short line of printable text."""
    return _UNPRINTABLE.sub(" ", str(said)[:_LONGEST_WORDS]).strip()


def mapping(said: object, name: str | None = None) -> dict[str, Any]:
    """An object, or the one under *name* of an object. Raises MachineGarbled, as the others do."""
    found = _of(said, name)
    if not isinstance(found, dict):
        _not_a("object", name)
    return found


def mappings(said: object, name: str | None = None) -> list[dict[str, Any]]:
    """A list of objects."""
    found = _of(said, name)
    if not isinstance(found, list):
        _not_a("list", name)
    return [mapping(each) for each in found]


def texts(said: object, name: str | None = None) -> list[str]:
    """A list of strings."""
    found = _of(said, name)
    if not isinstance(found, list):
        _not_a("list", name)
    return [text(each) for each in found]


def text(said: object, name: str | None = None) -> str:
    """A string, in which no half characters are."""
    found = _of(said, name)
    if not isinstance(found, str):
        _not_a("text", name)
    try:
        found.encode()
    except UnicodeEncodeError:
        _not_a("text", name)
    return found


def text_or_none(said: Mapping[str, Any], name: str) -> str | None:
    """A string, or None when there is none."""
    return None if said.get(name) is None else text(said, name)


def number(said: object, name: str | None = None) -> int:
    """A whole number."""
    found = _of(said, name)
    if not isinstance(found, int) or isinstance(found, bool):
        _not_a("number", name)
    return found


def flag(said: object, name: str | None = None) -> bool:
    """True or false."""
    found = _of(said, name)
    if not isinstance(found, bool):
        _not_a("truth", name)
    return found


def _of(said: object, name: str | None) -> object:
    return said if name is None else mapping(said).get(name)


def _not_a(kind: str, name: str | None) -> NoReturn:
    raise MachineGarbled(f"It says no {kind} where one belongs{'' if name is None else f': {name}'}.")


def _is_deep(line: bytes) -> bool:
    """Whether more than DEEPEST objects and lists are within each other; looks no further than to the first that is."""
    if line.count(b"[") + line.count(b"{") <= DEEPEST:
        return False
    depth = 0
    for bracket in _STRINGS.sub(b"", line).translate(None, _ALL_BUT_BRACKETS):
        depth += 1 if bracket in b"[{" else -1
        if depth > DEEPEST:
            return True
    return False
