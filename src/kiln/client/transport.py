"""Sends requests over HTTP/1.1, keeping connections for the next one.

A socket and httptools, the parser that the service reads requests with: a
command line's life is one or two requests, and the standard library's client
takes four times as long to load (docs/design/0004 says what was measured).
Proxies are not looked for: a Kiln is local or next door.
"""

from __future__ import annotations

import select
import socket
from collections import deque
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import urlsplit

from httptools import HttpParserError, HttpResponseParser

_READ_BYTES = 262144
_FINAL = 200  #: Answers below it announce another one.


class EndpointRefused(ValueError):
    """The endpoint is not an address of the form http://HOST:PORT."""


class Unreachable(Exception):
    """No answer came.

    ``was_sent`` tells whether the service may have seen the request, and so may have acted on it.
    """

    def __init__(self, message: str, *, was_sent: bool) -> None:
        super().__init__(message)
        self.was_sent = was_sent


class HttpReply(NamedTuple):
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
        if not address.netloc.isascii():
            raise EndpointRefused(f"{endpoint!r} names a host by letters that are not ASCII")
        self.endpoint = f"{address.scheme}://{address.netloc}"
        self.host = address.netloc.rpartition("@")[2]
        self._is_tls = address.scheme == "https"
        self._name = address.hostname
        self._port = port or (443 if self._is_tls else 80)
        self._timeout_s = timeout_s
        self._idle: deque[socket.socket] = deque()

    def post(self, headers: Mapping[str, str], body: bytes) -> HttpReply:
        """The answer to a POST to ``/``. Raises as ``send``."""
        return self.send("POST", "/", headers, body, has_host=True)

    def send(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes = b"", *, has_host: bool = False
    ) -> HttpReply:
        """The answer to a request. *has_host*: its headers say to whom it is.

        Raises Unreachable, and ValueError for a header that no request can have.
        """
        if not has_host:
            headers = {"host": self.host, **headers}
        lines = [f"{name}: {_checked(value)}" for name, value in headers.items()]
        head = "\r\n".join([f"{method} {target} HTTP/1.1", *lines, f"content-length: {len(body)}", "", ""]).encode(
            "latin-1"
        )
        connection = self._connect()
        is_cut = False
        try:
            try:
                connection.sendall(head + body)
            except (BrokenPipeError, ConnectionResetError):
                is_cut = True  # Whoever takes no more of it may have said why.
            answer = Answer()
            while not answer.is_whole:
                answer.take(connection.recv(_READ_BYTES))
        except (OSError, EOFError, HttpParserError) as error:
            connection.close()
            message = f"the connection to {self.endpoint} broke: {error or type(error).__name__}"
            raise Unreachable(message, was_sent=True) from error
        if is_cut or answer.is_last:
            connection.close()
        else:
            self._idle.append(connection)
        return HttpReply(answer.status, bytes(answer.body))

    def ask(self, path: str, headers: Mapping[str, str]) -> socket.socket:
        """A connection of the caller's own, on which a GET was sent. Raises Unreachable, and ValueError as ``post``."""
        lines = [f"{name}: {_checked(value)}" for name, value in headers.items()]
        connection = self._connect()
        try:
            connection.sendall("\r\n".join([f"GET {path} HTTP/1.1", *lines, "", ""]).encode("latin-1"))
        except OSError as error:
            connection.close()
            raise Unreachable(f"the connection to {self.endpoint} broke: {error}", was_sent=True) from error
        return connection

    def close(self) -> None:
        """Close idle connections."""
        while self._idle:
            self._idle.pop().close()

    def _connect(self) -> socket.socket:
        while self._idle:
            try:
                kept = self._idle.pop()
            except IndexError:  # Another thread was quicker.
                break
            if _is_usable(kept):
                return kept
            kept.close()
        try:
            fresh = socket.create_connection((self._name, self._port), self._timeout_s)
            fresh.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return self._in_tls(fresh) if self._is_tls else fresh
        except OSError as error:
            reason = error.strerror or str(error)
            raise Unreachable(f"nothing answers at {self.endpoint}: {reason}", was_sent=False) from error

    def _in_tls(self, plain: socket.socket) -> socket.socket:
        # OpenSSL takes a tenth of the time that a word of the command line may take, and most Kilns are next door.
        import ssl  # noqa: PLC0415

        context = ssl.create_default_context()
        context.set_alpn_protocols(["http/1.1"])
        try:
            return context.wrap_socket(plain, server_hostname=self._name)
        except BaseException:
            plain.close()
            raise


class Answer:
    """One answer, from the pieces in which it comes."""

    def __init__(self) -> None:
        self.status = 0
        self.body = bytearray()
        self.is_whole = False
        self.is_last = False  #: Whether the connection carries no further one.
        self._has_head = False
        self._has_length = False
        self._parser = HttpResponseParser(self)

    def take(self, piece: bytes) -> None:
        """The next piece; an empty one is the end. Raises EOFError for an end that is too early, HttpParserError."""
        if piece:
            self._parser.feed_data(piece)
        elif self._has_head and not self._has_length:
            # What says no length is as long as the connection lives.
            self.is_whole = self.is_last = True
        else:
            raise EOFError("the other side closed it before its answer was whole")

    def on_message_begin(self) -> None:
        self._has_head = self._has_length = False
        self.body.clear()

    def on_header(self, name: bytes, _: bytes) -> None:
        self._has_length |= name.lower() in (b"content-length", b"transfer-encoding")

    def on_headers_complete(self) -> None:
        self.status = self._parser.get_status_code()
        self._has_head = self.status >= _FINAL

    def on_body(self, piece: bytes) -> None:
        self.body += piece

    def on_message_complete(self) -> None:
        if self.status >= _FINAL:
            self.is_whole = True
            self.is_last = not self._parser.should_keep_alive()


def _checked(value: str) -> str:
    """Raise ValueError for what would be more than one header."""
    if not value.isprintable():
        raise ValueError(f"a header cannot hold {value!r}")
    return value


def _is_usable(sock: socket.socket) -> bool:
    """Whether an idle connection is still open: one that has something to read has been closed by the other side."""
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return not poll.poll(0)
