"""What an endpoint tells of changes while they happen: when to look again, for who waits.

A Kiln tells it at ``/events`` (docs/reference/paths.md). Where there is no such
path, or the stream breaks, waiting is only sleeping, and whoever waits asks now
and then.
"""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable

from httptools import HttpParserError

from kiln.client.transport import Answer, Unreachable

_SILENT_S = 30.0  #: A stream that says nothing for so long is dead: a Kiln's says every ten seconds that it is there.
_FOUND = 200


class News:
    """The news of one resource. *open_stream* asks for the stream; it is called once, with the first wait."""

    def __init__(self, open_stream: Callable[[], socket.socket], resource: str) -> None:
        self._open_stream = open_stream
        self._resource = resource
        self._connection: socket.socket | None = None
        self._has_asked = False
        self._answer = Answer()
        self._heard_at = 0.0
        self.is_live = False  #: Whether every change of the resource is told.

    def wait(self, seconds: float) -> None:
        """Until the resource may have changed, or *seconds* are over."""
        until = time.monotonic() + seconds
        if not self._has_asked:
            self._has_asked, self._heard_at = True, time.monotonic()
            try:
                self._connection = self._open_stream()
            except (Unreachable, OSError):
                self._connection = None
        while (left := until - time.monotonic()) > 0:
            if self._connection is None:
                time.sleep(left)
            elif self._hears(self._connection, left):
                return

    def close(self) -> None:
        """Hear no more."""
        self.is_live = False
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _hears(self, connection: socket.socket, seconds: float) -> bool:
        """Whether something came of which to look again."""
        try:
            connection.settimeout(seconds)
            self._answer.take(connection.recv(65536))
        except TimeoutError:
            if time.monotonic() - self._heard_at > _SILENT_S:
                self.close()
            return False
        except (OSError, EOFError, HttpParserError):
            self._answer.is_whole = True
        self._heard_at = time.monotonic()
        if self._answer.is_whole or self._answer.status > _FOUND:
            was_live = self.is_live
            self.close()
            return was_live
        return self._read()

    def _read(self) -> bool:
        """Read the events that have come whole."""
        events, end, rest = bytes(self._answer.body).rpartition(b"\n\n")
        self._answer.body[:] = rest
        about = [event for event in (events + end).split(b"\n\n") if event and self._is_about(event)]
        return bool(about)

    def _is_about(self, event: bytes) -> bool:
        if event.startswith(b": listening"):
            self.is_live = True
            return True
        if event.startswith(b"event: missed"):
            return True
        _, _, data = event.partition(b"data: ")
        try:
            return bool(event.startswith(b"event: change") and json.loads(data)["ResourceId"] == self._resource)
        except (ValueError, KeyError, TypeError):
            return True
