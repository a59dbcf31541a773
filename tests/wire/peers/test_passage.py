"""What QEMU says to QEMU goes by our connection as long as somebody takes it."""

from __future__ import annotations

import asyncio
import socket
import threading
from contextlib import suppress

from kiln.wire.peers.passage import carry

MORE_THAN_FITS = bytes(64 << 20)


def send(end):
    with suppress(OSError):
        end.sendall(MORE_THAN_FITS)


def is_closed(end):
    """Whether the other end is, which may have left something unread."""
    try:
        return end.recv(1) == b""
    except ConnectionResetError:
        return True


def test_it_ends_where_nobody_takes_what_is_said():
    """As where the network was cut. Else the guest, which may stand still by then, would wait with it."""
    guests, near = socket.socketpair()
    ours, theirs = socket.socketpair()
    sending = threading.Thread(target=send, args=[guests])

    async def carried():
        ours.setblocking(False)
        reader, writer = await asyncio.open_unix_connection(sock=ours)
        sending.start()
        async with asyncio.timeout(300):
            await carry(near, reader, writer, stalls_s=0.1)

    with guests, theirs:
        asyncio.run(carried())
        sending.join()
        assert is_closed(guests)
