"""Answers without a task: what the protocol and an application say to each other where the request is whole."""

from __future__ import annotations

import http
from collections.abc import Callable, Iterable
from typing import Any, Protocol, runtime_checkable

from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from kiln.wire.doors.door import Answer

_PHRASES = {status.value: status.phrase for status in http.HTTPStatus}

AnyScope = Any  #: ASGI's; uvicorn and ``wire.paths`` have types of their own for the same dictionary.

#: Is given the whole answer, or what was raised instead, on the event loop's thread.
Tell = Callable[[Answer | None, BaseException | None], None]


@runtime_checkable
class Direct(Protocol):
    """An application that can answer a request that is whole without a task, which takes as long as parsing it."""

    def begin(self, scope: AnyScope, body: bytes, tell: Tell) -> None:
        """Have *tell* given the answer some time."""


class Paths(Protocol):
    """What the protocol asks of a table of paths."""

    def direct(self, scope: AnyScope) -> Direct | None:
        """What answers such a request without a task."""

    def socket(self, scope: AnyScope) -> Any:
        """The ASGI application that answers a request for a WebSocket; None where there is none."""

    def is_streamed(self, scope: AnyScope) -> bool:
        """Whether its application takes the body as it comes."""


def may_be_direct(cycle: RequestResponseCycle) -> bool:
    """Whether a request is surely whole before reading has to wait for somebody who takes its body."""
    if cycle.scope["method"] not in ("GET", "POST") or cycle.waiting_for_100_continue:
        return False
    for name, value in cycle.scope["headers"]:
        if name == b"transfer-encoding" or (name == b"content-length" and int(value) > HIGH_WATER_LIMIT):
            return False
    return True


def spelled(answer: Answer, more: Iterable[tuple[bytes, bytes]], *, keep_alive: bool) -> bytes:
    """A whole answer as it is sent; *more* are headers of every answer's."""
    head = [f"HTTP/1.1 {answer.status} {_PHRASES.get(answer.status, '')}\r\n"]
    head += [f"{name}: {value}\r\n" for name, value in answer.headers]
    if not keep_alive:
        head.append("connection: close\r\n")
    head.append(f"content-length: {len(answer.body)}\r\n")
    common = b"".join([b"%b: %b\r\n" % one for one in more])
    return b"%b%b\r\n%b" % ("".join(head).encode("latin-1"), common, answer.body)
