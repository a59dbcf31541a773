"""Answers questions for metadata as they come from the networks: one request a connection, each within a few seconds.

The askers are strangers: lengths, times and numbers are bounded, and one who
asks without end takes no other's turn.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import Counter
from collections.abc import Callable
from http import HTTPStatus

from kiln.ground.journal import Journal
from kiln.ground.units import KiB
from kiln.machines.errors import MachineGarbled
from kiln.machines.hearing import Hearing
from kiln.networks.metadata import Answer, Described, Request, Tokens, Tree, answer
from kiln.networks.port import Networks, Question

_LONGEST = 8 * KiB
_WITHIN_S = 10.0
_LOOK_S = 1.0
_MOST, _MOST_OF_ONE = 64, 8
_PARTS = 3
log = Journal("kiln.networks")

#: By VPC and interface, what its instance is told; None where nobody is there any more.
Find = Callable[[str, str], "tuple[Described, Tree] | None"]


class Answering:
    """Answers what *networks* are asked, by what *find* finds. *clock* gives seconds since 1970."""

    def __init__(self, networks: Networks, find: Find, tokens: Tokens, clock: Callable[[], float]) -> None:
        self._networks, self._find, self._tokens, self._clock = networks, find, tokens, clock
        self._at_work: Counter[tuple[str, str]] = Counter()
        self._lock = threading.Lock()

    def run(self, stop: threading.Event) -> None:
        """Until *stop* is set."""
        while not stop.is_set():
            try:
                question = self._networks.question(_LOOK_S)
            except Exception:  # One VPC's keeper is no reason to answer nobody else.
                log.exception("metadata_not_heard")
                stop.wait(_LOOK_S)
                continue
            if question is None:
                continue
            who = (question.vpc, question.interface)
            with self._lock:
                is_taken = self._at_work[who] < _MOST_OF_ONE and self._at_work.total() < _MOST
                self._at_work[who] += is_taken
            if is_taken:
                threading.Thread(target=self._serve, args=(question, who), daemon=True).start()
            else:
                question.connection.close()

    def _serve(self, question: Question, who: tuple[str, str]) -> None:
        try:
            with question.connection as connection, contextlib.suppress(OSError, EOFError):
                hearing = Hearing(connection, time.monotonic() + _WITHIN_S)
                request, given = _heard(hearing), Answer(HTTPStatus.BAD_REQUEST)
                if request is not None:
                    given = self._answer(request, who)
                is_told = request is None or request.method != "HEAD"
                hearing.send(_spelled(given, is_told=is_told))
        finally:
            with self._lock:
                self._at_work[who] -= 1
                if not self._at_work[who]:
                    del self._at_work[who]

    def _answer(self, request: Request, who: tuple[str, str]) -> Answer:
        try:
            told = self._find(*who)
        except Exception:  # Whatever it was is our own fault, and no reason to answer nobody else.
            log.exception("metadata_not_found", vpc=who[0], interface=who[1])
            return Answer(HTTPStatus.INTERNAL_SERVER_ERROR)
        if told is None:
            return Answer(HTTPStatus.NOT_FOUND)
        return answer(request, "/".join(who), told, self._tokens, self._clock())


def _heard(hearing: Hearing) -> Request | None:
    """The request; None where it is none. What comes after its head is not read. Raises OSError, EOFError."""
    try:
        first, *lines = hearing.line(_LONGEST, b"\r\n\r\n").decode("latin-1").split("\r\n")
    except MachineGarbled:
        return None
    words = first.split(" ")
    if len(words) != _PARTS or not words[2].startswith("HTTP/1."):
        return None
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not name or name != name.strip() or name.lower() in headers:
            return None
        headers[name.lower()] = value.strip()
    return Request(words[0], words[1], headers)


def _spelled(given: Answer, *, is_told: bool) -> bytes:
    status = HTTPStatus(given.status)
    body = given.body or (b"" if status is HTTPStatus.OK else f"{status.phrase}\n".encode())
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: text/plain; charset=utf-8\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + (body if is_told else b"")
