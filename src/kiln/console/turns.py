"""Which page is made next: all who ask take turns, so that one with a thousand requests costs another one turn.

Of one there are fewer at a time than in all: pages that the API answers late
leave a thread to others, however many of them somebody asks for.

Behind one there may be several who are not known yet, as behind one address.
These take turns in the same way with what is theirs: whoever tries a thousand
times with one key costs another one, at his address too, one try.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Result = TypeVar("Result")


class Turns:
    """*at_once* pages at a time, *of_one* of anybody's. ``run`` is called on the event loop's thread."""

    def __init__(self, at_once: int, of_one: int) -> None:
        self._executor = ThreadPoolExecutor(at_once, thread_name_prefix="console")
        self._free = at_once
        self._of_one = of_one
        self._running: Counter[str] = Counter()
        #: By who asks, and by which of those behind him; who was let in last is the last.
        self._waiting: dict[str, dict[str, deque[asyncio.Future[None]]]] = {}

    async def run(self, who: str, work: Callable[[], Result], which: str = "") -> Result:
        """What *work* gives, when it is the turn of *who*, and of *which* behind him.

        Raises what *work* does, RuntimeError after ``end``.
        """
        loop = asyncio.get_running_loop()
        turn: asyncio.Future[None] = loop.create_future()
        self._waiting.setdefault(who, {}).setdefault(which, deque()).append(turn)
        self._let_in()
        try:
            await turn
        except asyncio.CancelledError:
            # It may have been let in and then be wanted no more, before it could begin.
            if turn.done() and not turn.cancelled():
                self._leave(who)
            raise
        try:
            making = loop.run_in_executor(self._executor, work)
        except BaseException:
            self._leave(who)
            raise
        # A thread is not free before its work is done, whoever has left meanwhile.
        making.add_done_callback(lambda _: self._leave(who))
        return await asyncio.shield(making)

    def end(self) -> None:
        """Begin nothing any more."""
        self._executor.shutdown(wait=False, cancel_futures=True)

    def _leave(self, who: str) -> None:
        self._free += 1
        self._running[who] -= 1
        if not self._running[who]:
            del self._running[who]
        self._let_in()

    def _let_in(self) -> None:
        """Let in whoever may come, the one first who was let in longest ago."""
        while self._free and (who := self._next()) is not None:
            behind = self._waiting.pop(who)
            which, turns = next(iter(behind.items()))
            del behind[which]
            turn = turns.popleft()
            if turns:
                behind[which] = turns
            if behind:
                self._waiting[who] = behind
            if not turn.cancelled():
                self._free -= 1
                self._running[who] += 1
                turn.set_result(None)

    def _next(self) -> str | None:
        return next((who for who in self._waiting if self._running[who] < self._of_one), None)
