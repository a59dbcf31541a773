"""The ASGI application: reads a request whole, has it answered on a thread, sends the answer.

Asyncio stays in this file. A request's work is synchronous and runs on a small
pool of threads: more threads than a few only pass Python's lock around.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from concurrent.futures import Executor
from typing import Any

from kiln.declare.units import MiB
from kiln.wire.doors.door import RawRequest
from kiln.wire.errors import RequestTooLarge
from kiln.wire.gateway import Gateway
from kiln.wire.http.bounds import BODY
from kiln.wire.http.crowd import name_of
from kiln.wire.http.turns import Turns

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class App:
    """See the module's docstring.

    *health* gives what ``GET /healthz`` answers: whether all is well, and the
    facts. *at_once* is how many requests are worked on at a time; the *executor* has
    threads for those that wait for the disk, too.
    """

    def __init__(
        self,
        gateway: Gateway,
        executor: Executor,
        health: Callable[[], tuple[bool, dict[str, Any]]],
        at_once: int = 4,
    ) -> None:
        self._gateway = gateway
        self._executor = executor
        self._health = health
        self._turns = Turns(at_once)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One connection's next request."""
        if scope["type"] != "http":
            return
        try:
            body = await _read(scope, receive)
        except _CallerLeft:
            return
        except RequestTooLarge as error:
            answer = self._gateway.refuse(_to_request(scope, b""), error)
            await _send(send, answer.status, answer.headers, answer.body)
            return
        loop = asyncio.get_running_loop()
        if scope["path"] == "/healthz" and scope["method"] in ("GET", "HEAD"):
            async with self._turns.one("/healthz"):
                is_well, facts = await loop.run_in_executor(self._executor, self._health)
            head = [("content-type", "application/json")]
            await _send(send, 200 if is_well else 503, head, json.dumps(facts).encode() + b"\n")
            return
        request = _to_request(scope, body)
        async with self._turns.one(name_of(request.client_host)) as turn:
            answer = await loop.run_in_executor(self._executor, self._gateway.answer, request, turn.end_from_afar)
        await _send(send, answer.status, answer.headers, answer.body)


class _CallerLeft(Exception):
    """The connection ended before the request did, so nobody knows what it would have been."""


async def _read(scope: Scope, receive: Receive) -> bytes:
    """The whole body. Raises _CallerLeft, and RequestTooLarge, before any of it comes where its length is told."""
    told = dict(scope["headers"]).get(b"content-length", b"")
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


def _to_request(scope: Scope, body: bytes) -> RawRequest:
    path = scope.get("raw_path") or scope["path"].encode()
    query: bytes = scope["query_string"]
    text = path.decode("latin-1")
    client = scope.get("client")
    return RawRequest(
        method=scope["method"],
        target=f"{text}?{query.decode('latin-1')}" if query else text,
        path=text,
        query_string=query,
        headers=[(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]],
        body=body,
        client_host=client[0] if client else "",
    )


async def _send(send: Send, status: int, headers: Iterable[tuple[str, str]], body: bytes) -> None:
    raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
    raw.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": body})
