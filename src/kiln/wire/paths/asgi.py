"""The words of ASGI that every path uses, and the threads on which what is not asyncio is done."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from concurrent.futures import Executor
from functools import partial
from typing import Any, Protocol, TypeVar, cast

from kiln.wire.doors.door import RawRequest
from kiln.wire.http.turns import Turns

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

Given = TypeVar("Given")
Result = TypeVar("Result")


class Application(Protocol):
    """What answers a path."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, whose whole body is the first message that *receive* gives."""


class Threads:
    """The few threads on which requests are answered, shared by all paths; peers take turns.

    *at_once* is how many requests are worked on at a time; the *executor* has
    threads for those that wait for the disk, too. *patience_s* is how long
    requests wait for a thread that is at work before another begins. All
    methods are called on the event loop's thread.
    """

    def __init__(self, executor: Executor, at_once: int, patience_s: float = 0.0) -> None:
        self._turns = Turns(at_once, executor.submit, patience_s)
        self._patience_s = patience_s
        self._is_watched = False
        self._finished: deque[Callable[[], None]] = deque()
        self._is_told = False

    def hand(
        self,
        peer: str,
        work: Callable[[Given, Callable[[], None]], Result],
        given: Given,
        tell: Callable[[Result | None, BaseException | None], None],
    ) -> None:
        """Have *work* done when it is *peer*'s turn; *tell* is called on the loop's thread with what came of it.

        *work* is told beside *given* what it has to call before it waits for the disk.
        """
        loop = asyncio.get_running_loop()

        def job(waits: Callable[[], None]) -> None:
            result, error = None, None
            try:
                result = work(given, waits)
            except BaseException as raised:  # noqa: BLE001 - it is raised in whom it concerns.
                error = raised
            self._finish(loop, partial(tell, result, error))

        self._turns.want(peer, job)
        if not self._is_watched and self._turns.is_pressed:
            self._is_watched = True
            loop.call_later(self._patience_s, self._watch, loop)

    async def run(self, peer: str, work: Callable[..., Result], *given: object) -> Result:
        """What *work* gives, when it is *peer*'s turn."""
        return await self.run_and_wait(peer, lambda given, _: work(*given), given)

    async def run_and_wait(
        self, peer: str, work: Callable[[Given, Callable[[], None]], Result], given: Given
    ) -> Result:
        """As ``run``; *work* is told beside *given* what it has to call before it waits for the disk."""
        done: asyncio.Future[Result] = asyncio.get_running_loop().create_future()

        def work_if_wanted(given: Given, waits: Callable[[], None]) -> Result | None:
            return None if done.cancelled() else work(given, waits)

        def tell(result: Result | None, error: BaseException | None) -> None:
            if done.cancelled():
                return
            if error is not None:
                done.set_exception(error)
            else:
                done.set_result(cast("Result", result))

        self.hand(peer, work_if_wanted, given, tell)
        return await done

    def give_up(self) -> None:
        """Forget the requests on which nobody works yet: nobody waits for their answers any more."""
        self._turns.clear()

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


def to_request(scope: Scope, body: bytes) -> RawRequest:
    """The request as doors read it."""
    path = scope.get("raw_path") or scope["path"].encode()
    query: bytes = scope["query_string"]
    text = path.decode("latin-1")
    return RawRequest(
        method=scope["method"],
        target=f"{text}?{query.decode('latin-1')}" if query else text,
        path=text,
        query_string=query,
        headers=[(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]],
        body=body,
        client_host=client_of(scope),
    )


def client_of(scope: Scope) -> str:
    """The address that the request came from."""
    client = scope.get("client")
    return client[0] if client else ""


async def send_whole(send: Send, status: int, headers: Iterable[tuple[str, str]], body: bytes) -> None:
    """Send an answer at once."""
    raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
    raw.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": body})


async def send_words(send: Send, status: int, words: str, *more: tuple[str, str]) -> None:
    """Send a refusal that a person reads."""
    await send_whole(send, status, [("content-type", "text/plain; charset=utf-8"), *more], f"{words}\n".encode())
