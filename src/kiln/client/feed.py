"""All that an endpoint tells of an account's changes, as CloudEvents, for as long as somebody reads.

A stream that breaks is opened again, and who reads is told that something may
have been missed: nothing is kept for who does not listen.
"""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, NamedTuple

from httptools import HttpParserError

from kiln.client.transport import Answer, HttpReply, Unreachable

_SILENT_S = 30.0  #: A stream that says nothing for so long is dead: a Kiln's says every ten seconds that it is there.
_FOUND = 200
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.2, 5.0
_BUSY = (429, 500, 502, 503, 504)  #: Answers that are others after a while.


class Heard(NamedTuple):
    """What came: an event, or one of the words ``listening``, ``missed`` and ``lost``."""

    word: str
    event: dict[str, Any] | None = None
    reason: str = ""  #: Why the stream was lost.


class Feed:
    """Iterated once. *open_stream* asks for a stream, *refused* raises what an answer that is none means."""

    def __init__(self, open_stream: Callable[[], socket.socket], refused: Callable[[HttpReply], object]) -> None:
        self._open_stream = open_stream
        self._refused = refused
        self._connection: socket.socket | None = None
        self._is_closed = threading.Event()

    def close(self) -> None:
        """End the iteration, from any thread, soon: also one that waits for what comes next."""
        self._is_closed.set()
        connection = self._connection
        if connection is not None:
            with suppress(OSError):  # It has ended already.
                connection.shutdown(socket.SHUT_RDWR)

    def __iter__(self) -> Iterator[Heard]:
        """What comes. Ends when it is closed; raises Unreachable and ApiFailure where no first stream could be had.

        ``listening`` is said for each stream: what changes from there on is told. ``lost`` is said of one that broke.
        """
        pause_s, is_first = _FIRST_PAUSE_S, True
        while not self._is_closed.is_set():
            try:
                for heard in self._stream(is_first=is_first):
                    pause_s, is_first = _FIRST_PAUSE_S, False
                    yield heard
                reason = "the service ended it"
            except (Unreachable, OSError, EOFError, HttpParserError) as error:
                if is_first and not self._is_closed.is_set():
                    raise
                reason = str(error)
            if self._is_closed.is_set():
                return
            if pause_s == _FIRST_PAUSE_S:
                yield Heard("lost", reason=reason)
            self._is_closed.wait(pause_s)
            pause_s = min(_LONGEST_PAUSE_S, pause_s * 2)

    def _stream(self, *, is_first: bool) -> Iterator[Heard]:
        """One stream, until it ends."""
        answer = Answer()
        with self._open_stream() as connection:
            self._connection = connection
            while not (answer.is_whole or self._is_closed.is_set()):
                answer.take(self._piece(connection))
                if answer.status == _FOUND:
                    events, end, rest = bytes(answer.body).rpartition(b"\n\n")
                    answer.body[:] = rest
                    yield from filter(None, map(_read, (events + end).split(b"\n\n")))
        if not self._is_closed.is_set() and answer.status != _FOUND and (is_first or answer.status not in _BUSY):
            self._refused(HttpReply(answer.status, bytes(answer.body)))

    @staticmethod
    def _piece(connection: socket.socket) -> bytes:
        connection.settimeout(_SILENT_S)
        try:
            return connection.recv(65536)
        except TimeoutError:
            raise Unreachable("it says nothing any more", was_sent=True) from None


def _read(text: bytes) -> Heard | None:
    if text.startswith(b": listening"):
        return Heard("listening")
    if text.startswith(b"event: missed"):
        return Heard("missed")
    if not text.startswith(b"event: cloudevent"):
        return None  # That it is there; or something that a later Kiln says.
    return Heard("event", json.loads(text.partition(b"data: ")[2]))
