"""The way by which a running guest goes to another host: what QEMU says on either side, carried by our connection.

A guest's memory is all that it knows. Between hosts it goes by the connection on
which each process has proved to the other who it is, and which encrypts it; QEMU
sees a socket of its own host's.
"""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress

_PIECE = 1 << 18
#: Who takes nothing for so long is gone. A guest whose last pages are on their way stands still meanwhile, and its QEMU
#: answers nobody.
STALLS_S = 60.0


async def carry(
    near: socket.socket, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, stalls_s: float
) -> None:
    """Carry what is said, both ways, until either end is closed, or takes nothing for *stalls_s*; then both are."""
    near.setblocking(False)
    heard, said = await asyncio.open_unix_connection(sock=near)
    ways = [asyncio.ensure_future(_hand_on(*way, stalls_s)) for way in ((heard, writer), (reader, said))]
    try:
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for way in ways:
            way.cancel()
        ended = await asyncio.gather(*ways, return_exceptions=True)
        is_stalled = any(isinstance(one, TimeoutError) for one in ended)
        for end in (said, writer):
            # Where an end takes nothing there is no use in waiting until it has taken what was said.
            end.transport.abort() if is_stalled else end.close()
        for end in (said, writer):
            # What was said last has to arrive; who has gone hears nothing.
            with suppress(OSError):
                await end.wait_closed()


async def _hand_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, stalls_s: float) -> None:
    while piece := await reader.read(_PIECE):
        writer.write(piece)
        async with asyncio.timeout(stalls_s):
            await writer.drain()
