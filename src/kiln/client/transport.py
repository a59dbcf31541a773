"""Sends requests over HTTP/1.1, keeping connections for the next one.

The standard library's client: it costs 35 ms to import, a command line's life
is one or two requests, and nothing here needs more (measured against httpx in
docs/design/0004). Proxies are not looked for: a Kiln is local or next door.
"""

from __future__ import annotations

import select
import socket
from collections import deque
from collections.abc import Mapping
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import NamedTuple
from urllib.parse import urlsplit


class EndpointRefused(ValueError):
    """The endpoint is not an address of the form http://HOST:PORT."""


class Unreachable(Exception):
    """No answer came.

    ``was_sent`` tells whether the service may have seen the request, and so may have acted on it.
    """

    def __init__(self, message: str, *, was_sent: bool) -> None:
        super().__init__(message)
        self.was_sent = was_sent


class Reply(NamedTuple):
    """An HTTP answer."""

    status: int
    body: bytes


class Transport:
    """Requests to one endpoint, from any number of threads. Raises EndpointRefused."""

    def __init__(self, endpoint: str, timeout_s: float = 60.0) -> None:
        address = urlsplit(endpoint if "://" in endpoint else f"http://{endpoint}")
        try:
            port = address.port
        except ValueError:
            raise EndpointRefused(f"{endpoint!r} has no valid port") from None
        if address.scheme not in ("http", "https") or not address.hostname or address.path.strip("/"):
            raise EndpointRefused(f"{endpoint!r} is not of the form http://HOST:PORT")
        self.endpoint = f"{address.scheme}://{address.netloc}"
        self.host = address.netloc.rpartition("@")[2]
        self._kind = HTTPSConnection if address.scheme == "https" else HTTPConnection
        self._name = address.hostname
        self._port = port
        self._timeout_s = timeout_s
        self._idle: deque[HTTPConnection] = deque()

    def post(self, headers: Mapping[str, str], body: bytes) -> Reply:
        """The answer to a POST to ``/``. Raises Unreachable."""
        connection = self._connect()
        try:
            connection.request("POST", "/", body, dict(headers))
            response = connection.getresponse()
            reply = Reply(response.status, response.read())
        except (OSError, HTTPException) as error:
            connection.close()
            message = f"the connection to {self.endpoint} broke: {error or type(error).__name__}"
            raise Unreachable(message, was_sent=True) from error
        self._idle.append(connection)
        return reply

    def close(self) -> None:
        """Close idle connections."""
        while self._idle:
            self._idle.pop().close()

    def _connect(self) -> HTTPConnection:
        while self._idle:
            try:
                kept = self._idle.pop()
            except IndexError:  # Another thread was quicker.
                break
            if _is_usable(kept.sock):
                return kept
            kept.close()
        fresh = self._kind(self._name, self._port, timeout=self._timeout_s)
        try:
            fresh.connect()
        except OSError as error:
            reason = error.strerror or str(error)
            raise Unreachable(f"nothing answers at {self.endpoint}: {reason}", was_sent=False) from error
        return fresh


def _is_usable(sock: socket.socket | None) -> bool:
    """Whether an idle connection is still open: one that has something to read has been closed by the other side."""
    if sock is None:
        return False
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return not poll.poll(0)
