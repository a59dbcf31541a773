"""Who is answered next: peers take turns, so that one with a thousand requests costs another one turn.

Requests are answered on a few threads. What waits for one waits by its peer,
and each peer has its next request answered before any has its second. A request
that waits for the disk lets the next one begin meanwhile.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress


class Turn:
    """One that is had; it ends with its context, or before."""

    def __init__(self, pass_on: Callable[[], None]) -> None:
        self._pass_on = pass_on
        self._loop = asyncio.get_running_loop()
        self._is_over = False

    def end(self) -> None:
        """Let the next one begin, once."""
        if not self._is_over:
            self._is_over = True
            self._pass_on()

    def end_from_afar(self) -> None:
        """As ``end``, from any thread."""
        with suppress(RuntimeError):  # The loop is closed, and nobody waits for a turn.
            self._loop.call_soon_threadsafe(self.end)


class Turns:
    """So many at once. Used on the event loop's thread."""

    def __init__(self, at_once: int) -> None:
        self._free = at_once
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}

    @asynccontextmanager
    async def one(self, peer: str) -> AsyncIterator[Turn]:
        """Wait for *peer*'s turn, and have it within the context."""
        if self._free:
            self._free -= 1
        else:
            await self._wait(peer)
        turn = Turn(self._pass_on)
        try:
            yield turn
        finally:
            turn.end()

    async def _wait(self, peer: str) -> None:
        turn = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(peer, deque()).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._pass_on()
            raise

    def _pass_on(self) -> None:
        while self._waiting:
            peer, turns = next(iter(self._waiting.items()))
            del self._waiting[peer]
            turn = turns.popleft()
            if turns:
                self._waiting[peer] = turns
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1
