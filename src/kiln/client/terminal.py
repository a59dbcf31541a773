"""A terminal session: the serial console of an instance, by the WebSocket that StartTerminalSession gives.

``kiln.ground.terminal_messages`` has the protocol. Only who joins one waits for
the library to be loaded.
"""

from __future__ import annotations

import threading
import time
from urllib.parse import urlsplit, urlunsplit

from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus
from websockets.sync.client import connect

from kiln.client.client import AnswerBroken, Client
from kiln.client.transport import Unreachable
from kiln.ground.clock import system_clock
from kiln.ground.terminal_messages import CLOSED, Malformed, Type, pack, unpack

_OPEN_TIMEOUT_S = 60.0
BROKEN = "the connection broke"  #: The reason of a session that ended without one.


class SessionRefused(Exception):
    """The service lets nobody join; its words."""


class Terminal:
    """One session, joined; ``read`` may be called on one thread and ``type`` on any. To be closed."""

    def __init__(self, client: Client, instance: str) -> None:
        """Start and join a session. Raises what ``Client.call`` raises, and SessionRefused."""
        given = client.call("StartTerminalSession", InstanceId=[instance])["WebSocketUrl"]
        # The service knows the address that it was asked at, and not whether somebody before it speaks TLS.
        asked, named = urlsplit(client.endpoint), urlsplit(given)
        scheme = "wss" if asked.scheme == "https" else "ws"
        url = urlunsplit((scheme, asked.netloc.rpartition("@")[2], named.path, named.query, ""))
        try:
            self._socket = connect(url, proxy=None, compression=None, open_timeout=_OPEN_TIMEOUT_S)
        except InvalidStatus as error:
            words = (error.response.body or b"").decode(errors="replace").strip()
            raise SessionRefused(words or f"status {error.response.status_code}") from error
        except InvalidHandshake as error:
            raise AnswerBroken(f"{client.endpoint} answered with no WebSocket: {error}") from error
        except OSError as error:
            raise Unreachable(f"the connection to {client.endpoint} broke: {error}", was_sent=True) from error
        self.reason = BROKEN  #: Why it ended.
        self._number = 0
        self._saying = threading.Lock()

    def read(self, timeout_s: float | None = None) -> bytes | None:
        """What is shown next; None when it has ended, as ``reason`` says. Raises TimeoutError."""
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while True:
            try:
                data = self._socket.recv(None if deadline is None else max(0.0, deadline - time.monotonic()))
                kind, payload = unpack(data if isinstance(data, bytes) else data.encode())
            except ConnectionClosed:
                return None
            except Malformed as error:
                self.reason = str(error)
                return None
            if kind == Type.OUTPUT and payload:
                return payload
            if kind == Type.STATUS and payload[:1] == bytes([CLOSED]):
                self.reason = payload[1:].decode(errors="replace").removeprefix("Exit: ")
                return None

    def type(self, typed: bytes) -> bool:
        """Have the guest given what was typed; nothing says that somebody is there. False when it has ended."""
        return self._say(Type.INPUT, typed)

    def close(self) -> None:
        """Leave."""
        self._say(Type.CLOSE, b"1")
        self._socket.close()

    def _say(self, kind: Type, payload: bytes) -> bool:
        with self._saying:
            try:
                self._socket.send(pack(kind, payload, self._number, int(system_clock() * 1000)))
            except ConnectionClosed:
                return False
            self._number += 1
        return True
