"""TLS of one connection, between its transport and what reads HTTP: decrypts what comes, encrypts what goes.

asyncio would have to be told of TLS before the connection is there, and begins
with it on bytes that nobody has read. Here a connection speaks TLS or not by
its first byte, or by a CONNECT that it asked for, and whatever is refused or
timed out is so by the same rules as without TLS. So OpenSSL is given bytes and
gives bytes, and no protocol of asyncio's own stands between.
"""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress
from typing import Any, Protocol

#: What a client says before keys are agreed fits into a few records. OpenSSL itself would hold on to more.
_HANDSHAKE = 64 * 1024

#: The first byte of a connection that begins with TLS, which no method of HTTP has.
HANDSHAKE_BYTE = 0x16

_PIECE = 64 * 1024


class Certificates(Protocol):
    """What the connections of a server ask of whoever has certificates."""

    def of_address(self, host: str) -> ssl.SSLContext | None:
        """For a connection that was made to that address of this host; which name it then asks for chooses among all.

        None where there are none to be had.
        """

    def of_tunnel(self, target: str, own: tuple[str, int]) -> ssl.SSLContext | None:
        """For who has asked, at the address *own*, to be connected with *target*, and may ask for no other name.

        None for what is neither the cloud's nor this server.
        """

    def is_alone(self, port: int) -> bool:
        """Whether nothing but TLS is spoken on that port of this host."""


class TlsBroken(Exception):
    """What came is not TLS, or not of these keys, or the client does not like what it was shown."""


class TlsTransport(asyncio.Transport):
    """Stands before a connection's transport: who writes here writes encrypted."""

    def __init__(self, under: asyncio.Transport, context: ssl.SSLContext) -> None:
        super().__init__()
        self._under = under
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._handshake_bytes = 0
        self.is_established = False
        self.has_ended = False  #: The client has said that nothing more comes.

    def receive(self, data: bytes) -> bytes:
        """What *data*, together with what came before, says. Raises TlsBroken; the client is told first."""
        self._incoming.write(data)
        pieces = []
        try:
            if not self.is_established:
                self._shake_hands(len(data))
            while piece := self._tls.read(_PIECE):
                pieces.append(piece)
            self.has_ended = True
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            self.has_ended = True
        except ssl.SSLError as error:
            raise TlsBroken(error.reason or "") from None
        finally:
            self._flush()
        return b"".join(pieces)

    def _shake_hands(self, more: int) -> None:
        self._handshake_bytes += more
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            # Only now: with its last bytes the beginning of a large body may have come.
            if self._handshake_bytes > _HANDSHAKE:
                raise TlsBroken("the handshake does not end") from None
            raise
        self.is_established = True

    def _flush(self) -> None:
        if self._outgoing.pending and not self._under.is_closing():
            self._under.write(self._outgoing.read())

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send *data* encrypted."""
        if self._under.is_closing():
            return
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[self._tls.write(rest) :]
        except ssl.SSLError:
            self._under.abort()  # Half an answer is none.
            return
        self._flush()

    def _say_goodbye(self) -> None:
        """Say that nothing more comes, so that nobody takes an answer that was cut short for a whole one."""
        with suppress(ssl.SSLError):
            self._tls.unwrap()
        self._flush()

    def close(self) -> None:
        """End when what was written has gone."""
        if not self._under.is_closing():
            self._say_goodbye()
            self._under.close()

    def write_eof(self) -> None:
        """Send nothing more."""
        self._say_goodbye()
        self._under.write_eof()

    def abort(self) -> None:
        """End at once."""
        self._under.abort()

    def is_closing(self) -> bool:
        """Whether it has ended, or is about to."""
        return self._under.is_closing()

    def pause_reading(self) -> None:
        """Let nothing come."""
        self._under.pause_reading()

    def resume_reading(self) -> None:
        """Let more come."""
        self._under.resume_reading()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """What is known of the connection."""
        return self._under.get_extra_info(name, default)
