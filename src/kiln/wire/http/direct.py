"""Answers without a task: what the protocol and an application say to each other where the request is whole."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from kiln.wire.doors.door import Answer

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
