"""What goes from the host of a machine to who shows its console elsewhere, piece by piece.

    o LENGTH BYTES     what the console shows
    .                  the host is there, though the guest prints nothing
    e LENGTH REASON    it is over

What is typed goes the other way as it is, and its end says that nobody looks any more.
"""

from __future__ import annotations

import asyncio

from kiln.wire.paths.consoles import ENDED, ConsoleLost

OUTPUT, BEAT, END = b"o", b".", b"e"

PIECE = 16 * 1024  #: Bytes of one frame at most.
BEAT_S = 3.0
SILENT_S = 12.0  #: Who hears nothing for so long takes the host for gone.
_LENGTH_BYTES = 2
_MOST_REASON = 200

LOST = "the Kiln of its host has stopped, or does not answer"


def frame(kind: bytes, payload: bytes = b"") -> bytes:
    """A frame as it is sent; of *payload* there is PIECE at most."""
    return kind + len(payload).to_bytes(_LENGTH_BYTES) + payload


class Source:
    """What a console on another host shows, as a console here reads it."""

    def __init__(self, reader: asyncio.StreamReader, silent_s: float = SILENT_S) -> None:
        self._reader, self._silent_s = reader, silent_s

    async def read(self, _: int, /) -> bytes:
        """The next piece; empty when the machine has stopped. Raises ConsoleLost."""
        while True:
            kind, payload = await self._next()
            if kind == OUTPUT and payload:
                return payload
            if kind == END:
                reason = "".join(c for c in payload.decode(errors="replace")[:_MOST_REASON] if c.isprintable())
                if reason == ENDED:
                    return b""
                raise ConsoleLost(reason)
            if kind != BEAT:
                raise ConsoleLost("what its host tells makes no sense")

    async def _next(self) -> tuple[bytes, bytes]:
        try:
            async with asyncio.timeout(self._silent_s):
                kind = await self._reader.readexactly(1)
                length = int.from_bytes(await self._reader.readexactly(_LENGTH_BYTES))
                return kind, await self._reader.readexactly(length)
        except (TimeoutError, OSError, EOFError) as error:
            raise ConsoleLost(LOST) from error
