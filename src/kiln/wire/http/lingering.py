"""After an answer that came before all of its request: what still comes is read, and thrown away, so that it is heard.

Most clients send all of a body before they read an answer. To close while they
do has the kernel reset the connection, and they are told that it broke, and not
why. nginx, which stands before OSS, reads on for 30 seconds, and no longer than
5 without a byte; here who goes on sending well is read to the end.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from kiln.wire.http import bounds

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import Any

    from uvicorn._types import ASGI3Application
    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle


class Linger:
    """How much has come since the answer, and whether it is enough."""

    def __init__(self, now: float) -> None:
        self._since = self._last_byte = now
        self._bytes = self._bytes_of_piece = 0

    def take(self, length: int, now: float) -> bool:
        """So many more bytes have come. Whether it is time for a rest."""
        self._bytes += length
        self._bytes_of_piece += length
        self._last_byte = now
        is_enough = self._bytes_of_piece > bounds.LINGER_PIECE
        if is_enough:
            self._bytes_of_piece = 0
        return is_enough

    def is_over(self, now: float) -> bool:
        """Whether the connection has to end, heard or not."""
        is_slow = now - self._since > bounds.LINGER_S + self._bytes / bounds.LINGER_LEAST
        return is_slow or now - self._last_byte > bounds.LINGER_PAUSE_S or self._bytes > bounds.LINGER


class AnswerTransport(asyncio.Transport):
    """What one answer is written to. *end* is called where the connection is to be closed behind it."""

    def __init__(self, under: Callable[[], asyncio.Transport], end: Callable[[], None]) -> None:
        super().__init__()
        self._under = under
        self._end = end

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send *data*."""
        self._under().write(data)

    def is_closing(self) -> bool:
        """Whether the connection has ended, or is about to."""
        return self._under().is_closing()

    def close(self) -> None:
        """See the class."""
        self._end()


def telling(app: ASGI3Application, cycle: RequestResponseCycle) -> ASGI3Application:
    """*app*, whose answer says that the connection closes where the request has not come whole when it begins."""

    async def run(scope: Any, receive: Any, send: Callable[[Any], Awaitable[None]]) -> None:
        async def tell(message: Any) -> None:
            if cycle.more_body and message["type"] == "http.response.start":
                cycle.keep_alive = False
            await send(message)

        await app(scope, receive, tell)

    return run
