"""Requests that ask for another protocol: what of their head is needed for the one, and for doing without."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

_SCHEMES = (b"http://", b"https://")

Headers = Iterable[tuple[bytes, bytes]]


def path_of(target: bytes) -> tuple[bytes, bytes]:
    """Path and query of a request's target, which may be a whole address."""
    path, _, query = target.partition(b"?")
    if is_absolute(target):
        path = b"/" + path.split(b"://", 1)[1].partition(b"/")[2]
    return path or b"/", query


def is_absolute(target: bytes) -> bool:
    """Whether a target is a whole address, as a proxy is asked for it."""
    return target[:8].lower().startswith(_SCHEMES)


def without_upgrade(method: bytes, target: bytes, version: str, headers: Headers) -> bytes:
    """The head of a request, as that of one that asks for no other protocol."""
    lines = [b"%b %b HTTP/%b" % (method, target, version.encode())]
    for name, value in headers:
        if name == b"connection":
            value = b",".join(one for one in value.split(b",") if one.strip().lower() != b"upgrade")  # noqa: PLW2901
        lines.append(b"%b: %b" % (name, value))
    return b"\r\n".join([*lines, b"", b""])


def socket_scope(scope: Any, method: bytes, target: bytes) -> dict[str, Any] | None:
    """ASGI's scope of a request for a WebSocket, made of its connection's *scope*; None of any other request."""
    asked = [value.strip().lower() for name, value in scope["headers"] if name == b"upgrade"]
    if method != b"GET" or asked != [b"websocket"]:
        return None
    path, query = path_of(target)
    more = {"raw_path": path, "path": path.decode("latin-1"), "query_string": query, "subprotocols": []}
    return {**scope, **more, "type": "websocket", "scheme": "wss" if scope["scheme"] == "https" else "ws"}
