"""What a browser does not reach by itself passes through here: objects and terminals of a service elsewhere.

A page may speak to its own server alone, so the console takes the bytes and hands
them on as they come: a file is in no memory as a whole. Only who has signed in
here passes, and only what the console itself has given a page: requests that are
signed in their URL, and sessions by their token.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections import Counter, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, MutableMapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from typing import Any, TypeVar
from urllib.parse import parse_qsl, urlsplit

from httptools import HttpParserError, HttpResponseParser

from kiln.console.asking import GUARDS, ROOT, THROUGH, Asked, Malformed, of_scope
from kiln.console.sessions import COOKIE, Session
from kiln.console.visit import Place
from kiln.ground.journal import Journal
from kiln.ground.units import KiB

log = Journal("kiln.console")

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

BELOW = f"{ROOT}{THROUGH}"
SESSION = "/session"  #: Of the service, and below ``BELOW`` here: where terminals are joined.

_TRANSFERS, _TERMINALS = 16, 32  #: At a time; of one account half as many at most, so that others have room.
_STALL_S = 60.0  #: So long the service may take nothing, or give nothing.
_PIECE = 64 * KiB
_MESSAGE = 128 * KiB  #: Of a terminal: twice what the service sends at most.
_WORDS = 4 * KiB  #: Of a refusal, to be passed on.
BEAT_S = 10.0  #: So often it is asked whether the session lives.
_FINAL = _OK = 200  #: Answers below it announce another one.
_NORMAL, _GOING_AWAY = 1000, 1001
_REASON = 40  #: Characters, which the last frame has room for in any script.
_SIGNED = "x-oss-signature"  #: Of a URL that has its own proof.
_SAVED = re.compile(r'attachment; filename="[A-Za-z0-9._-]+"')
_OBJECT = re.compile(r"/[^/]+/.+")
_LINE = re.compile(r"[!-~]{1,16384}")  #: What may stand in a request's line.

Result = TypeVar("Result")


class Refused(Exception):
    """What does not pass, with the status that says so."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


class Broken(Exception):
    """The service does not answer, or does not take what is sent."""


class Share:
    """So many at a time, half of them of one account at most. On the event loop's thread."""

    def __init__(self, in_all: int, what: str) -> None:
        self._in_all, self._what = in_all, what
        self._taken: Counter[str] = Counter()

    @contextmanager
    def take(self, who: str) -> Iterator[None]:
        """One of them, for as long as the context lasts. Raises Refused."""
        if self._taken.total() >= self._in_all or self._taken[who] >= self._in_all // 2:
            raise Refused(429, f"As many {self._what} pass through this console as may at a time.")
        self._taken[who] += 1
        try:
            yield
        finally:
            self._taken[who] -= 1


def claims(scope: Scope) -> bool:
    """Whether a request is for an object that passes through."""
    path: str = scope["path"]
    return path.startswith(f"{BELOW}/") and path != BELOW + SESSION


def admit(place: Place, asked: Asked) -> Session:
    """Whose request it is. Raises Refused."""
    if not place.hosts.knows(asked.host):
        raise Refused(421, "This console is not called that.")
    if not asked.is_from_here:
        raise Refused(403, "This was sent by a page of another site.")
    session = place.sessions.find(asked.cookie(COOKIE))
    if session is None:
        raise Refused(403, "Nobody has signed in here.")
    return session


class ObjectsThrough:
    """Parts of files on their way in, and files on their way out."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._share = Share(_TRANSFERS, "transfers")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request on, and its answer back."""
        try:
            asked = of_scope(scope)
            session = admit(self._place, asked)
            target = _target(scope)
            with self._share.take(session.who.account):
                if asked.method == "PUT":
                    await self._put(target, _length(asked), receive, send)
                else:
                    await self._give(target, receive, send)
        except Malformed as error:
            await _say(send, 400, str(error))
        except Refused as refused:
            await _say(send, refused.status, str(refused))
        except Broken as error:
            log.warning("console_transfer_broke", reason=str(error))
            await _say(send, 502, str(error))

    async def _put(self, target: str, length: int, receive: Receive, send: Send) -> None:
        async with _joined(self._place.endpoint) as service:
            service.ask("PUT", target, length)
            is_more = True
            while is_more:
                message = await receive()
                if message["type"] == "http.disconnect":
                    return
                await service.send(message.get("body", b""))
                is_more = message.get("more_body", False)
            await service.head()
            await _say(send, service.status, await service.words())

    async def _give(self, target: str, receive: Receive, send: Send) -> None:
        async with _joined(self._place.endpoint) as service:
            service.ask("GET", target, 0)
            await service.head()
            if service.status != _OK:
                await _say(send, service.status, await service.words())
                return
            length = service.headers.get("content-length")
            if length is None:
                raise Broken("The service does not say how long the file is.")
            saved = service.headers.get("content-disposition", "")
            # What it is the browser is never told: it is saved, and no page of this console.
            told = [("content-type", "application/octet-stream"), *GUARDS, ("cache-control", "no-store")]
            told.append(("content-disposition", saved if _SAVED.fullmatch(saved) else "attachment"))
            told.append(("content-length", length))
            await send({"type": "http.response.start", "status": _OK, "headers": _raw(told)})
            leaving = asyncio.ensure_future(_left(receive))
            try:
                async for piece in service.pieces():
                    if leaving.done():
                        return
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
            except Broken as error:
                # Half a file must not look like a whole one.
                raise ConnectionAbortedError(str(error)) from error
            finally:
                leaving.cancel()
            await send({"type": "http.response.body", "body": b""})


class TerminalsThrough:
    """Sessions of terminals: each message is passed on as it is."""

    def __init__(self, place: Place, beat_s: float) -> None:
        self._place = place
        self._beat_s = beat_s
        self._share = Share(_TERMINALS, "terminals")
        self._joined: set[asyncio.Event] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Join one session of the service's for a browser."""
        await receive()
        ended = asyncio.Event()
        self._joined.add(ended)
        try:
            asked = of_scope({**scope, "method": "GET"})
            session = admit(self._place, asked)
            with self._share.take(session.who.account):
                await self._join(scope, asked, ended, receive, send)
        except Malformed as error:
            await _refuse(send, 400, str(error))
        except Refused as refused:
            await _refuse(send, refused.status, str(refused))
        finally:
            self._joined.discard(ended)

    def end(self) -> None:
        """End every session."""
        for one in self._joined:
            one.set()

    async def _join(self, scope: Scope, asked: Asked, ended: asyncio.Event, receive: Receive, send: Send) -> None:
        query = scope["query_string"].decode("latin-1")
        if "#" in query:
            raise Malformed("the address of a session has no fragment")
        name = asked.cookie(COOKIE)
        async with _session_at(self._place.endpoint, query) as service:
            await send({"type": "websocket.accept"})
            await _first_of(_up(service, receive), _down(service, send), self._watch(name, ended))
        code = _GOING_AWAY if ended.is_set() else _NORMAL
        await send({"type": "websocket.close", "code": code, "reason": (service.close_reason or "")[:_REASON]})

    async def _watch(self, name: str, ended: asyncio.Event) -> None:
        """Return when the browser's own session has ended, or all are to."""
        while self._place.sessions.lives(name) and not ended.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(self._beat_s):
                    await ended.wait()


@asynccontextmanager
async def _session_at(endpoint: str, query: str) -> AsyncIterator[Any]:
    """A WebSocket of the service's, joined. Raises Refused, with the service's own words where it has any."""
    # A console may never have a terminal, and what speaks WebSockets takes a while to load.
    from websockets.asyncio.client import connect  # noqa: PLC0415
    from websockets.exceptions import InvalidHandshake, InvalidStatus  # noqa: PLC0415

    there = urlsplit(endpoint)
    url = f"{'wss' if there.scheme == 'https' else 'ws'}://{there.netloc.rpartition('@')[2]}{SESSION}?{query}"
    async with AsyncExitStack() as stack:
        joining = connect(url, proxy=None, compression=None, open_timeout=_STALL_S, max_size=_MESSAGE, max_queue=4)
        try:
            service = await stack.enter_async_context(joining)
        except InvalidStatus as error:
            words = (error.response.body or b"").decode(errors="replace").strip()
            raise Refused(error.response.status_code, words[:_WORDS]) from error
        except (InvalidHandshake, OSError, TimeoutError, ValueError) as error:
            raise Refused(502, "The service did not let the terminal be joined.") from error
        yield service


async def _first_of(*works: Awaitable[object]) -> None:
    """Wait for the first of these, and leave the others."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _up(service: Any, receive: Receive) -> None:
    while (message := await receive())["type"] != "websocket.disconnect":
        await service.send(message.get("bytes") or (message.get("text") or "").encode())


async def _down(service: Any, send: Send) -> None:
    async for said in service:
        await send({"type": "websocket.send", "bytes": said if isinstance(said, bytes) else said.encode()})


class _Service:
    """One connection to the service, for one request. Methods raise Broken."""

    def __init__(self, endpoint: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self._host = urlsplit(endpoint).netloc.rpartition("@")[2]
        self._reader, self._writer = reader, writer
        self._waiting: deque[bytes] = deque()
        self._has_head = self._has_all = False
        self._parser = HttpResponseParser(self)

    def ask(self, method: str, target: str, length: int) -> None:
        """Send the head of a request, for a *target* as ``_target`` gives it."""
        lines = (f"{method} {target} HTTP/1.1", f"host: {self._host}", "connection: close", f"content-length: {length}")
        self._writer.write("".join(f"{line}\r\n" for line in (*lines, "")).encode("latin-1"))

    async def send(self, piece: bytes) -> None:
        """Send more of the body. Who takes no more of it may have said why, which is heard afterwards."""
        self._writer.write(piece)
        with suppress(ConnectionError):
            await _in_time(self._writer.drain())

    async def head(self) -> None:
        """Read until ``status`` and ``headers`` are there."""
        while not self._has_head:
            await self._read()

    async def pieces(self) -> AsyncIterator[bytes]:
        """The body of the answer, to its end."""
        while True:
            while self._waiting:
                yield self._waiting.popleft()
            if self._has_all:
                return
            await self._read()

    async def words(self) -> str:
        """The beginning of the answer's body."""
        said = b""
        async for piece in self.pieces():
            said += piece
            if len(said) >= _WORDS:
                break
        return said[:_WORDS].decode(errors="replace").strip()

    def on_message_begin(self) -> None:
        self.headers.clear()

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        self.status = self._parser.get_status_code()
        self._has_head = self.status >= _FINAL

    def on_body(self, piece: bytes) -> None:
        self._waiting.append(piece)

    def on_message_complete(self) -> None:
        self._has_all = self._has_head

    async def _read(self) -> None:
        try:
            piece = await _in_time(self._reader.read(_PIECE))
            if not piece:
                raise Broken("The service ended the connection before its answer was whole.")
            self._parser.feed_data(piece)
        except (OSError, HttpParserError) as error:
            raise Broken(f"The connection to the service broke: {error or type(error).__name__}") from error


@asynccontextmanager
async def _joined(endpoint: str) -> AsyncIterator[_Service]:
    """A connection to the service, closed at the end whatever has come of it. Raises Broken."""
    there = urlsplit(endpoint)
    port = there.port or (443 if there.scheme == "https" else 80)
    tls = ssl.create_default_context() if there.scheme == "https" else None
    try:
        reader, writer = await _in_time(asyncio.open_connection(there.hostname, port, ssl=tls))
    except OSError as error:
        raise Broken(f"Nothing answers at {endpoint}: {error.strerror or error}") from error
    try:
        yield _Service(endpoint, reader, writer)
    finally:
        writer.transport.abort()


async def _in_time(work: Awaitable[Result]) -> Result:
    """What *work* gives. Raises Broken where the service keeps it waiting for too long."""
    try:
        async with asyncio.timeout(_STALL_S):
            return await work
    except TimeoutError as error:
        raise Broken(f"The service was silent for {_STALL_S:.0f} seconds.") from error


def _target(scope: Scope) -> str:
    """Path and query at the service of a request that is signed in its URL. Raises Refused."""
    raw: bytes = scope.get("raw_path") or scope["path"].encode()
    path, query = raw.decode("latin-1").partition("?")[0].removeprefix(BELOW), scope["query_string"].decode("latin-1")
    target = f"{path}?{query}"
    if _SIGNED not in dict(parse_qsl(query)) or not _OBJECT.fullmatch(path) or not _LINE.fullmatch(target):
        raise Refused(404, "There is nothing here: requests for objects pass that this console has signed.")
    return target


def _length(asked: Asked) -> int:
    """How long what comes is. Raises Refused."""
    told = asked.headers.get("content-length", "")
    if not (told.isascii() and told.isdecimal() and len(told) < 20):  # noqa: PLR2004 - more than a file can have.
        raise Refused(411, "How long a part is has to be told.")
    return int(told)


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _say(send: Send, status: int, words: str) -> None:
    body = f"{words}\n".encode()
    told = (("content-type", "text/plain; charset=utf-8"), *GUARDS, ("cache-control", "no-store"))
    headers = _raw((*told, ("content-length", str(len(body)))))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _refuse(send: Send, status: int, words: str) -> None:
    headers = _raw((("content-type", "text/plain; charset=utf-8"),))
    await send({"type": "websocket.http.response.start", "status": status, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": f"{words}\n".encode()})


def _raw(headers: Iterable[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
