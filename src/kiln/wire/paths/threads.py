"""The threads on which what is not asyncio is done, and how what came of it gets back to the event loop."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import suppress
from functools import partial
from typing import Generic, TypeVar, cast

from kiln.store.line import Hands
from kiln.wire.paths.turns import PeerTurns

Given = TypeVar("Given")
Result = TypeVar("Result")


class LoopReply(Generic[Result]):
    """Who waits for something on the event loop. One of its methods is called once, on any thread."""

    __slots__ = ("_finish",)

    def __init__(self, finish: Callable[[Result | None, BaseException | None], None]) -> None:
        self._finish = finish

    def succeed(self, value: Result, /) -> None:
        """Here it is."""
        self._finish(value, None)

    def fail(self, error: BaseException, /) -> None:
        """It was not to be had."""
        self._finish(None, error)


#: Begins what a request asks for; raises nothing.
Begin = Callable[[Given, LoopReply[Result], Hands], None]


class Threads:
    """The few threads on which requests are answered, shared by all paths; peers take turns.

    *at_once* is how many requests are worked on at a time. Any number may wait
    for the disk beside them, for which they need no thread: there is one of a
    connection at most, and connections are bounded (``Crowd``). The *executor*
    has more threads than are worked on at a time, for what is to be carried out
    soon. *patience_s* is how long requests wait for a thread that is at work
    before another begins. All public methods are called on the event loop's
    thread.
    """

    def __init__(self, executor: Executor, at_once: int, patience_s: float = 0.0) -> None:
        self._executor = executor
        self._turns = PeerTurns(at_once, self._begin, patience_s)
        self._patience_s = patience_s
        self._is_watched = False
        self._finished: deque[Callable[[], None]] = deque()
        self._is_told = False

    def hand_in(
        self,
        peer: str,
        begin: Begin[Given, Result],
        given: Given,
        tell: Callable[[Result | None, BaseException | None], None],
    ) -> None:
        """Have *begin* called when it is *peer*'s turn; *tell* is called on the loop's thread with what comes of it."""
        loop = asyncio.get_running_loop()

        def finish(result: Result | None, error: BaseException | None) -> None:
            self._finish(loop, partial(tell, result, error))

        def job(waits: Callable[[], None]) -> None:
            begin(given, LoopReply(finish), Hands(self._start, waits, partial(self._later, loop)))

        self._turns.want(peer, job)
        if not self._is_watched and self._turns.is_pressed:
            self._is_watched = True
            loop.call_later(self._patience_s, self._watch, loop)

    async def run(self, peer: str, work: Callable[..., Result], *given: object) -> Result:
        """What *work* gives, when it is *peer*'s turn."""

        def begin(_: None, reply: LoopReply[Result], __: Hands) -> None:
            try:
                value = work(*given)
            except BaseException as error:  # noqa: BLE001 - it is raised in whom it concerns.
                reply.fail(error)
            else:
                reply.succeed(value)

        return await self.answer(peer, begin, None)

    async def answer(self, peer: str, begin: Begin[Given, Result], given: Given) -> Result:
        """What *begin* has the reply given, when it is *peer*'s turn."""
        done: asyncio.Future[Result] = asyncio.get_running_loop().create_future()

        def begin_if_wanted(given: Given, reply: LoopReply[Result], hands: Hands) -> None:
            if done.cancelled():
                reply.fail(asyncio.CancelledError())
            else:
                begin(given, reply, hands)

        def tell(result: Result | None, error: BaseException | None) -> None:
            if done.cancelled():
                return
            if error is not None:
                done.set_exception(error)
            else:
                done.set_result(cast("Result", result))

        self.hand_in(peer, begin_if_wanted, given, tell)
        return await done

    def give_up(self) -> None:
        """Forget the requests on which nobody works yet: nobody waits for their answers any more."""
        self._turns.clear()

    def _start(self, job: Callable[[], None]) -> None:
        """Have *job* carried out soon; on this thread where no other begins any more. Called on any thread."""
        # Where no thread can be made, the executor says so and keeps the job for another all the same.
        is_free = threading.Lock()

        def once() -> None:
            if is_free.acquire(blocking=False):
                job()

        try:
            self._executor.submit(once)
        except RuntimeError:
            once()

    def _later(self, loop: asyncio.AbstractEventLoop, seconds: float, job: Callable[[], None]) -> None:
        """Have *job* carried out after so many seconds, or now where the loop has ended. Called on any thread."""
        try:
            loop.call_soon_threadsafe(loop.call_later, seconds, self._start, job)
        except RuntimeError:
            job()

    def _begin(self, go_on: Callable[[], None]) -> None:
        """Have a thread begin with requests, unless the server has ended."""
        with suppress(RuntimeError):
            self._executor.submit(go_on)

    def _watch(self, loop: asyncio.AbstractEventLoop) -> None:
        self._turns.hurry()
        self._is_watched = self._turns.is_pressed
        if self._is_watched:
            loop.call_later(self._patience_s, self._watch, loop)

    def _finish(self, loop: asyncio.AbstractEventLoop, tell: Callable[[], None]) -> None:
        """Have *tell* called by the loop, which is woken once for all that is finished before it looks."""
        self._finished.append(tell)
        if not self._is_told:
            self._is_told = True
            try:
                loop.call_soon_threadsafe(self._tell_all)
            except RuntimeError:
                self._is_told = False  # The loop is closed, and nobody waits for an answer.

    def _tell_all(self) -> None:
        self._is_told = False  # First: whoever finishes from here on wakes the loop again.
        while self._finished:
            self._finished.popleft()()
