"""OSS over the buckets: objects go and come in pieces, and no more than one of each is in memory.

Who asks, and what, is found out on the threads of all requests; bytes are read
and written on threads of their own, so that a slow disk holds up nothing else.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from typing import TypeVar

from kiln.buckets.drafts import PIECE
from kiln.declare.metrics import REQUESTS
from kiln.ground.journal import Journal
from kiln.ground.peers import name_of
from kiln.wire.doors.door import Answer, RawRequest
from kiln.wire.http.bounds import GATHERINGS, LISTED, TRANSFERS, TRANSFERS_OF_ACCOUNT
from kiln.wire.oss.call import Incoming, OssCall, Outgoing
from kiln.wire.oss.errors import EntityTooLarge, MalformedXML, MissingContentLength, SlowDown
from kiln.wire.oss.gate import OssGate, met, new_request_id, refusal
from kiln.wire.oss.of_objects import MOST_BYTES
from kiln.wire.oss.operations import OssOperation
from kiln.wire.oss.request import is_for_oss
from kiln.wire.paths.asgi import Receive, Scope, Send, to_request
from kiln.wire.paths.threads import Threads

log = Journal("kiln.wire")

Result = TypeVar("Result")


def claims(scope: Scope) -> bool:
    """Whether a request is for OSS."""
    return is_for_oss(scope["headers"], scope["query_string"])


class OssPath:
    """See the module. All is on the event loop's thread but what ``_move`` is given."""

    def __init__(self, gate: OssGate, threads: Threads, movers: Executor) -> None:
        self._gate = gate
        self._threads = threads
        self._movers = movers
        self._transfers: Counter[str] = Counter()
        self._gathering = asyncio.Semaphore(GATHERINGS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        told = _Told(to_request(scope, b""), send)
        try:
            request = self._gate.read(told.raw)
            told.host = request.host
            operation, call = await self._threads.run(name_of(told.raw.client_host), self._gate.admit, request)
            told.operation, told.call = operation, call
            await self._carry_out(operation, call, receive, told)
        except _CallerLeft:
            told.log(0, "")
        except Exception as error:
            refused = met(error, told.request_id)
            if told.has_begun:
                raise ConnectionAbortedError(str(error)) from error  # Half an object must not look like a whole one.
            await told.answer(refusal(refused, told.request_id, told.host, told.raw.method), refused.code)

    async def _carry_out(self, operation: OssOperation, call: OssCall, receive: Receive, told: _Told) -> None:
        if operation.take is not None:
            with self._transfer(call.key.account_id):
                await told.answer(await self._take_in(operation.take, call, receive))
        elif operation.give is not None:
            with self._transfer(call.key.account_id):
                await self._give_out(operation.give, call, receive, told)
        elif operation.answer is not None:
            body = await _read_short(receive, told.raw.fields.get("content-length", ""))
            async with self._gathering if operation.is_long else nullcontext():
                answer = await self._move(operation.answer, replace(call, body=body))
            await told.answer(answer)

    async def _take_in(
        self, take: Callable[[OssCall, int | None], Incoming], call: OssCall, receive: Receive
    ) -> Answer:
        length = _length_of(call)
        incoming = await self._move(take, call, length)
        try:
            came = 0
            async for piece in _pieces(receive):
                came += len(piece)
                if came > MOST_BYTES:
                    raise EntityTooLarge(most=MOST_BYTES)
                await self._move(incoming.write, piece)
            return await self._move(incoming.keep)
        finally:
            await self._put_away(incoming.drop)

    async def _give_out(
        self, give: Callable[[OssCall], Outgoing | Answer], call: OssCall, receive: Receive, told: _Told
    ) -> None:
        outgoing = await self._move(give, call)
        if isinstance(outgoing, Answer):
            await told.answer(outgoing)
            return
        leaving = asyncio.ensure_future(_left(receive))
        try:
            await told.begin(outgoing)
            at, end = outgoing.start, outgoing.start + outgoing.length
            while at < end and not leaving.done():
                piece = await self._move(_read_at, outgoing, at, min(PIECE, end - at))
                at += len(piece)
                await told.go_on(piece, more=at < end)
        finally:
            leaving.cancel()
            await self._put_away(outgoing.held.close)

    @contextmanager
    def _transfer(self, account: str) -> Iterator[None]:
        """One of the transfers that may go on at a time. Raises SlowDown."""
        if self._transfers[account] >= TRANSFERS_OF_ACCOUNT:
            raise SlowDown(most=TRANSFERS_OF_ACCOUNT, whose="of an account")
        if self._transfers.total() >= TRANSFERS:
            raise SlowDown(most=TRANSFERS, whose="in all")
        self._transfers[account] += 1
        try:
            yield
        finally:
            self._transfers[account] -= 1
            if not self._transfers[account]:
                del self._transfers[account]

    async def _move(self, work: Callable[..., Result], *given: object) -> Result:
        """What *work* gives, on a thread that may wait for the disk."""
        moving = asyncio.get_running_loop().run_in_executor(self._movers, work, *given)
        try:
            return await asyncio.shield(moving)
        except asyncio.CancelledError:
            # What it works on is put away next, and must not be while a thread writes to it.
            await asyncio.wait((moving,))
            raise

    async def _put_away(self, work: Callable[[], None]) -> None:
        """Have *work* done, which leaves nothing behind: a disk takes seconds to forget a file of gigabytes."""
        try:
            await self._move(work)
        except RuntimeError:  # Of a server that stops, whose threads take nothing more.
            work()


class _Told:
    """One answer, as it is sent and logged."""

    def __init__(self, raw: RawRequest, send: Send) -> None:
        self.raw = raw
        self.request_id = new_request_id()
        self.host = raw.host
        self.has_begun = False
        self.operation: OssOperation | None = None
        self.call: OssCall | None = None
        self._send = send
        self._began = time.perf_counter()

    async def answer(self, answer: Answer, code: str = "") -> None:
        """Send all of it."""
        headers = list(answer.headers)
        if answer.status not in (204, 304) and "content-length" not in dict(headers):
            headers.append(("content-length", str(len(answer.body))))
        await self._begin(answer.status, headers)
        await self._send({"type": "http.response.body", "body": answer.body})
        self.log(answer.status, code)

    async def begin(self, outgoing: Outgoing) -> None:
        """Send the head of what comes in pieces."""
        await self._begin(outgoing.status, list(outgoing.headers))
        if not outgoing.length:
            await self._send({"type": "http.response.body", "body": b""})
        self.log(outgoing.status, "")

    async def go_on(self, piece: bytes, *, more: bool) -> None:
        """Send a piece."""
        await self._send({"type": "http.response.body", "body": piece, "more_body": more})

    def log(self, status: int, code: str) -> None:
        """A line in the log, and one more request counted; status 0 is that of whoever left."""
        action = self.operation.name if self.operation else ""
        REQUESTS.observe(time.perf_counter() - self._began, action or "none", "oss", str(status))
        log.info(
            "request",
            request_id=self.request_id,
            peer=self.raw.client_host,
            door="oss",
            action=action,
            key=self.call.key.id if self.call else "",
            account=self.call.key.account_id if self.call else "",
            bucket=self.call.bucket if self.call else "",
            object=self.call.name if self.call else "",
            status=status,
            code=code,
            ms=round((time.perf_counter() - self._began) * 1000, 2),
        )

    async def _begin(self, status: int, headers: list[tuple[str, str]]) -> None:
        headers += [("x-oss-request-id", self.request_id), ("x-oss-server-time", str(self._ms()))]
        self.has_begun = True
        raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
        await self._send({"type": "http.response.start", "status": status, "headers": raw})

    def _ms(self) -> int:
        return int((time.perf_counter() - self._began) * 1000)


class _CallerLeft(Exception):
    """The connection ended before the request did."""


async def _pieces(receive: Receive) -> AsyncIterator[bytes]:
    """A body, in pieces of at most ``PIECE``. Raises _CallerLeft."""
    waiting = bytearray()
    is_more = True
    while is_more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _CallerLeft
        waiting += message.get("body", b"")
        is_more = message.get("more_body", False)
        while len(waiting) >= PIECE or (waiting and not is_more):
            piece = bytes(waiting[:PIECE])
            del waiting[:PIECE]
            yield piece


async def _read_short(receive: Receive, told: str) -> bytes:
    """A body that is no object. Raises _CallerLeft, MalformedXML for one that is too long to be what is meant."""
    body = bytearray()
    if told.isdigit() and int(told[:20]) > LISTED:
        raise MalformedXML
    async for piece in _pieces(receive):
        body += piece
        if len(body) > LISTED:
            raise MalformedXML
    return bytes(body)


def _length_of(call: OssCall) -> int | None:
    """How many bytes are told to come; None of chunks. Raises MissingContentLength, EntityTooLarge."""
    fields = call.request.fields
    told = fields.get("content-length", "")
    if not told.isdigit():
        if "transfer-encoding" not in fields:
            raise MissingContentLength
        return None
    if int(told[:20]) > MOST_BYTES:
        raise EntityTooLarge(most=MOST_BYTES)
    return int(told)


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _read_at(outgoing: Outgoing, at: int, length: int) -> bytes:
    """Some bytes; EOFError where somebody has cut the file since its length was told."""
    piece = os.pread(outgoing.file.fileno(), length, at)
    if not piece:
        raise EOFError("the object has become shorter")
    return piece
