"""The words of ASGI that every path uses."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any, Protocol

from kiln.wire.doors.door import RawRequest

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class Application(Protocol):
    """What answers a path."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, whose whole body is the first message that *receive* gives."""


def to_request(scope: Scope, body: bytes) -> RawRequest:
    """The request as doors read it."""
    path = scope.get("raw_path") or scope["path"].encode()
    query: bytes = scope["query_string"]
    return RawRequest(
        method=scope["method"],
        path=path.decode("latin-1"),
        query_string=query,
        headers=[(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]],
        body=body,
        client_host=client_of(scope),
        is_tls=scope.get("scheme") in ("https", "wss"),
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
