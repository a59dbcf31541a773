"""The API: everything that is no other path goes to a door, and is answered on a thread."""

from __future__ import annotations

from kiln.declare.errors import ApiError
from kiln.ground.peers import name_of
from kiln.wire.doors.door import Answer
from kiln.wire.gateway import Gateway
from kiln.wire.http.direct import Tell
from kiln.wire.paths.asgi import Receive, Scope, Send, send_whole, to_request
from kiln.wire.paths.threads import Threads


class Doors:
    """See the module."""

    def __init__(self, gateway: Gateway, threads: Threads) -> None:
        self._gateway = gateway
        self._threads = threads

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = to_request(scope, (await receive())["body"])
        answer = await self._threads.answer(name_of(request.client_host), self._gateway.hand_in, request)
        await send_whole(send, answer.status, answer.headers, answer.body)

    def begin(self, scope: Scope, body: bytes, tell: Tell) -> None:
        """As a call, for whoever has the whole body: without a task, and *tell* is given the answer."""
        request = to_request(scope, body)
        self._threads.hand_in(name_of(request.client_host), self._gateway.hand_in, request, tell)

    def refuse(self, scope: Scope, error: ApiError) -> Answer:
        """In the door's words."""
        return self._gateway.refuse(to_request(scope, b""), error)
