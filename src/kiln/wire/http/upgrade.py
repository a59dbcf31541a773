"""Requests that ask for another protocol: what of their head is needed for the one, and for doing without."""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

_VERSION = b"13"  #: RFC 6455's, the only one that there is.
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


def socket_scope(scope: Any, method: bytes, target: bytes, version: str) -> dict[str, Any] | None:
    """ASGI's scope of a request for a WebSocket, made of its connection's *scope*; None of any other request.

    HTTP/1.0 knows no upgrade, and what it says of one is not heeded (RFC 9110, 7.8).
    """
    asked = [value.strip().lower() for name, value in scope["headers"] if name == b"upgrade"]
    if method != b"GET" or asked != [b"websocket"] or version == "1.0":
        return None
    path, query = path_of(target)
    more = {"raw_path": path, "path": path.decode("latin-1"), "query_string": query, "subprotocols": []}
    return {**scope, **more, "type": "websocket", "scheme": "wss" if scope["scheme"] == "https" else "ws"}


def fault_of(headers: Headers) -> tuple[HTTPStatus, str, tuple[tuple[str, str], ...]] | None:
    """Why no WebSocket begins with such a head, beside what the library looks at: status, words and headers.

    RFC 6455, 4.2.1 and 4.4. What a body holds would be taken for the first frames.
    """
    given: dict[bytes, list[bytes]] = {}
    for name, value in headers:
        given.setdefault(name, []).append(value.strip())
    if len(given.get(b"host", ())) != 1:
        return HTTPStatus.BAD_REQUEST, "A WebSocket is asked for with one Host.", ()
    if b"transfer-encoding" in given or any(length.strip(b"0") for length in given.get(b"content-length", ())):
        return HTTPStatus.BAD_REQUEST, "A WebSocket is asked for without a body.", ()
    if any(version != _VERSION for version in given.get(b"sec-websocket-version", ())):
        more = (("Upgrade", "websocket"), ("Sec-WebSocket-Version", _VERSION.decode()))
        return HTTPStatus.UPGRADE_REQUIRED, f"This WebSocket is spoken in version {_VERSION.decode()}.", more
    return None
