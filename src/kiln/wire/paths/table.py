"""The table of paths: which application answers a request, and what is refused before any of them sees it.

A request is read whole first, within the bounds of ``kiln.wire.http``, whichever
path it is for; an application gets its body as one message, and may take as long
as it likes to send its answer, piece by piece.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Generic, Protocol, TypeVar, runtime_checkable

from kiln.ground.units import MiB
from kiln.ground.values import dataclass
from kiln.wire.doors.door import Answer
from kiln.wire.errors import RequestTooLarge
from kiln.wire.http.bounds import BODY
from kiln.wire.http.direct import Direct
from kiln.wire.paths.asgi import Application, Message, Receive, Scope, Send, send_whole, send_words

Site = TypeVar("Site")


@dataclass(frozen=True, kw_only=True)
class Path(Generic[Site]):
    """A path, as it is declared. *make* is given what applications are made of."""

    at: str  #: As it is asked for: ``/healthz``.
    make: Callable[[Site], Application]
    methods: tuple[str, ...] = ()  #: All that it takes; empty: its application says so itself.
    has_below: bool = (
        False  #: Whether what lies below it is answered as well: ``/console`` answers ``/console/images``.
    )
    claims: Callable[[Scope], bool] | None = None  #: Of one whose requests are known by something else than the path.
    is_streamed: bool = False  #: Whether its application takes the body as it comes, and bounds it itself.
    is_socket: bool = False  #: Whether it is a WebSocket's, and takes no other request.
    is_of_every_process: bool = False  #: Whether one that does not answer the API answers it as well.
    about: str  #: For the reference: what it answers, and to whom. Paragraphs of Markdown.


@runtime_checkable
class Refusing(Protocol):
    """An application that has words of its own for what is refused on its path."""

    def refuse(self, scope: Scope, error: RequestTooLarge) -> Answer:
        """The answer to a request that was not read to its end."""


@runtime_checkable
class Ending(Protocol):
    """An application some of whose answers do not end by themselves."""

    def end(self) -> None:
        """End them at once, and begin none any more. Called on the event loop's thread."""


class Table(Generic[Site]):
    """The ASGI application of the server: every path's of *paths*, made of *site*."""

    def __init__(self, paths: Iterable[Path[Site]], site: Site) -> None:
        self._whole: dict[str, tuple[Path[Site], Application]] = {}
        self._below: dict[str, tuple[Path[Site], Application]] = {}
        self._claiming: list[tuple[Path[Site], Application]] = []
        for path in paths:
            one = path, path.make(site)
            if path.claims is not None:
                self._claiming.append(one)
                continue
            self._whole[path.at] = one
            if path.has_below:
                self._below[path.at.rstrip("/")] = one

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One connection's next request."""
        if scope["type"] != "http":
            return
        found = self._find(scope)
        if found is None:
            words = f"There is nothing at {scope['path'][:200]}. There is: {', '.join(sorted(self._whole))}."
            await send_words(send, 404, words)
            return
        path, application = found
        if path.methods and scope["method"] not in path.methods:
            words = f"{path.at} takes {' and '.join(path.methods)}, and no {scope['method']}."
            await send_words(send, 405, words, ("allow", ", ".join(path.methods)))
        elif path.is_socket:
            words = f"{path.at} is a WebSocket's: it takes GET with Upgrade: websocket alone."
            await send_words(send, 426, words, ("upgrade", "websocket"), ("connection", "upgrade"))
        elif path.is_streamed:
            await application(scope, receive, send)
        else:
            await self._answer_whole(application, scope, receive, send)

    async def _answer_whole(self, application: Application, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            body = await _read(scope, receive)
        except _CallerLeft:
            return
        except RequestTooLarge as error:
            if isinstance(application, Refusing):
                answer = application.refuse(scope, error)
                await send_whole(send, answer.status, answer.headers, answer.body)
            else:
                await send_words(send, error.status, str(error))
            return
        await application(scope, _Rest(body, receive), send)

    def direct(self, scope: Scope) -> Direct | None:
        """What answers a request that is whole without a task, where its path's application can do that."""
        found = self._find(scope)
        if found is None or found[0].is_streamed or found[0].is_socket:
            return None
        path, application = found
        is_taken = not path.methods or scope["method"] in path.methods
        return application if is_taken and isinstance(application, Direct) else None

    def socket(self, scope: Scope) -> Application | None:
        """What answers a request for a WebSocket, at a path that has one."""
        found = self._find(scope)
        return found[1] if found is not None and found[0].is_socket else None

    def is_streamed(self, scope: Scope) -> bool:
        """Whether the application of a request takes its body as it comes."""
        found = self._find(scope) if self._claiming else None
        return found is not None and found[0].is_streamed

    def end(self) -> None:
        """End the answers that would not end by themselves, for a server that stops."""
        for _, application in (*self._whole.values(), *self._claiming):
            if isinstance(application, Ending):
                application.end()

    def _find(self, scope: Scope) -> tuple[Path[Site], Application] | None:
        """Whoever claims the request; else the path itself, or the longest that it lies below."""
        for one in self._claiming:
            claims = one[0].claims
            if claims is not None and claims(scope):
                return one
        asked: str = scope["path"]
        found = self._whole.get(asked)
        above = asked
        while found is None:
            found = self._below.get(above)
            if not above:
                break
            above = above.rpartition("/")[0]
        return found


class _Rest:
    """What an application receives: the body that was read, and then what becomes of the connection."""

    def __init__(self, body: bytes, receive: Receive) -> None:
        self._body: bytes | None = body
        self._receive = receive

    async def __call__(self) -> Message:
        if self._body is None:
            return await self._receive()
        body, self._body = self._body, None
        return {"type": "http.request", "body": body, "more_body": False}


class _CallerLeft(Exception):
    """The connection ended before the request did, so nobody knows what it would have been."""


async def _read(scope: Scope, receive: Receive) -> bytes:
    """The whole body. Raises _CallerLeft, and RequestTooLarge, before any of it comes where its length is told."""
    headers: Mapping[bytes, bytes] = dict(scope["headers"])
    told = headers.get(b"content-length", b"")
    if told.isdigit() and int(told[:20]) > BODY:
        raise RequestTooLarge(mib=BODY // MiB)
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _CallerLeft
        body += message.get("body", b"")
        if len(body) > BODY:
            raise RequestTooLarge(mib=BODY // MiB)
        if not message.get("more_body", False):
            return bytes(body)
