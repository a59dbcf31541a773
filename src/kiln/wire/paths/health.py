"""Whether a Kiln is alive, and whether all is well, for whoever watches it; nobody has to sign for that."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from kiln.wire.paths.asgi import Receive, Scope, Send, send_whole
from kiln.wire.paths.threads import Threads

Health = Callable[[], tuple[bool, dict[str, Any]]]  #: Whether the answer is yes, and the facts.


class HealthPath:
    """See the module; *health* answers the one question or the other.

    It has a turn of its own, so that no crowd keeps the one who watches from knowing.
    """

    def __init__(self, health: Health, threads: Threads) -> None:
        self._health = health
        self._threads = threads

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - as every path.
        is_well, facts = await self._threads.run("/healthz", self._health)
        body = json.dumps(facts).encode() + b"\n"
        await send_whole(send, 200 if is_well else 503, [("content-type", "application/json")], body)
