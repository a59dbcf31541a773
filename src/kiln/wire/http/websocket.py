"""One WebSocket: what comes is parsed and bounded, and given to an ASGI application; what that says goes out.

The protocol itself is the library's (``websockets``, which knows no connection);
here are bytes, and how much of them. What is parsed at a time is bounded, and
nothing is read while the application has messages to take, or the client takes
no answers. Extensions are not offered: what is compressed cannot be bounded by
its length.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from kiln.ground.journal import Journal
from kiln.wire.http import bounds
from kiln.wire.http.upgrade import fault_of

if TYPE_CHECKING:
    from uvicorn.protocols.http.flow_control import FlowControl
    from websockets.frames import Frame
    from websockets.server import ServerProtocol

log = Journal("kiln.wire")

#: The library tells of each connection; so do the applications here, and they say whose it was.
_quiet = logging.getLogger("kiln.wire.websocket")
_quiet.setLevel(logging.WARNING)

_SUPPORTED = 101
_GONE = {"type": "websocket.disconnect", "code": 1006}


class WebSocket:
    """See the module. All is on the event loop's thread."""

    def __init__(self, transport: asyncio.Transport, flow: FlowControl, scope: dict[str, Any]) -> None:
        # Most Kilns serve none, and it takes as long to load as half a start may.
        from websockets.datastructures import Headers  # noqa: PLC0415
        from websockets.http11 import Request, Response  # noqa: PLC0415
        from websockets.protocol import State  # noqa: PLC0415
        from websockets.server import ServerProtocol  # noqa: PLC0415

        self._headers, self._response, self._open = Headers, Response, State.OPEN
        self._transport, self._flow, self._scope = transport, flow, scope
        self._loop = asyncio.get_running_loop()
        self._wire: ServerProtocol = ServerProtocol(logger=_quiet)
        fields = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]]
        # The path is kept from the library, since it may hold a secret.
        self._greeting = self._wire.accept(Request("/", Headers(fields)))
        self._refusal: Any = None
        self._is_accepted = self._is_over = self._is_lost = False
        self._held = b""
        self._thrown = 0
        self._heard: deque[dict[str, Any]] = deque()
        self._bell = asyncio.Event()
        self._message = bytearray()
        self._is_text = False
        self._rest: asyncio.TimerHandle | None = None  #: Until when nothing is parsed.
        self._end: asyncio.TimerHandle | None = None

    def begin(self, app: Any, rest: bytes, tasks: set[asyncio.Task[None]]) -> None:
        """Have *app* answer; *rest* came behind the head. One whose head is not sound is refused."""
        if (fault := fault_of(self._scope["headers"])) is not None:
            status, words, more = fault
            named = [(b"content-type", b"text/plain; charset=utf-8"), *((n.encode(), v.encode()) for n, v in more)]
            self._wire.send_response(self._refused(status, named, f"{words}\n".encode()))
            self._flush()
            return
        if self._greeting.status_code != _SUPPORTED:
            self._wire.send_response(self._greeting)
            self._flush()
            return
        self._heard.append({"type": "websocket.connect"})
        self.take(rest)
        task = self._loop.create_task(self._run(app))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    def take(self, data: bytes) -> None:
        """What has come next."""
        if self._is_over:
            # Read on, so that the client hears why; what nobody looks at is thrown away.
            self._thrown += len(data)
            is_enough = self._thrown > bounds.LINGER_PIECE
            if is_enough:
                self._flow.pause_reading()
            if is_enough or not self._is_accepted:
                return
        is_first = not self._held
        self._held += data
        if is_first or not self._is_accepted:
            self._go_on()

    def take_end(self) -> None:
        """Nothing more comes."""
        if self._is_accepted:
            self._wire.receive_eof()
            self._flush()
        self._held = b""
        self._end_soon()

    def lose(self) -> None:
        """There is no connection any more."""
        self._is_over = self._is_lost = True
        self._held = b""
        self._bell.set()
        if self._end is not None:
            self._end.cancel()

    def go_on_writing(self) -> None:
        """The client has taken what was written."""
        self._go_on()

    async def _run(self, app: Any) -> None:
        try:
            await app(self._scope, self._receive, self._send)
        except Exception:
            log.exception("socket_crashed", path=self._scope["path"])
        finally:
            if not self._is_over:
                if not self._is_accepted:
                    self._wire.send_response(self._refused(HTTPStatus.INTERNAL_SERVER_ERROR, [], b""))
                else:
                    self._wire.fail(1011)
                self._flush()

    async def _receive(self) -> dict[str, Any]:
        while not self._heard:
            if self._is_over:
                return _GONE
            self._bell.clear()
            await self._bell.wait()
        message = self._heard.popleft()
        self._go_on()
        return message

    async def _send(self, message: dict[str, Any]) -> None:
        if self._is_over:
            return
        kind = message["type"]
        if kind == "websocket.accept":
            self._transport.write(self._greeting.serialize())
            # The first one would read the request by itself, which others have read.
            self._wire = type(self._wire)(state=self._open, max_size=bounds.SOCKET_MESSAGE, logger=_quiet)
            self._is_accepted = True
        elif kind == "websocket.send":
            self._wire.send_binary(message["bytes"])
        elif kind == "websocket.close":
            self._wire.send_close(message["code"], message["reason"])
        elif kind == "websocket.http.response.start":
            self._refusal = message
            return
        else:
            start = self._refusal
            self._wire.send_response(self._refused(HTTPStatus(start["status"]), start["headers"], message["body"]))
        self._flush()
        self._go_on()
        if not self._is_over:  # Else it does not wait for who may hear nothing.
            await self._flow.drain()

    def _refused(self, status: HTTPStatus, headers: list[tuple[bytes, bytes]], body: bytes) -> Any:
        named = self._headers([(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers])
        named.setdefault("content-length", str(len(body)))
        named["connection"] = "close"
        return self._response(status, status.phrase, named, body)

    def _go_on(self) -> None:
        """Parse a little of what has come, and the rest when others have had their turn."""
        if not self._is_accepted:
            if len(self._held) > bounds.SOCKET_MESSAGE:
                self._flow.pause_reading()
            return
        if self._is_lost:
            return
        if self._rest is not None:
            self._flow.pause_reading()
            return
        # One that is over is read all the same: its client's own last word ends the connection.
        may_read = self._is_over or (len(self._heard) < bounds.SOCKET_MESSAGES and not self._flow.write_paused)
        if self._held and may_read:
            piece, self._held = self._held[: bounds.SLICE], self._held[bounds.SLICE :]
            self._wire.receive_data(piece)
            frames = self._wire.events_received()
            for frame in frames:
                self._hear(frame)  # type: ignore[arg-type]
            self._flush()
            if len(frames) > bounds.SOCKET_FRAMES:
                self._rest = self._loop.call_later(len(frames) * bounds.SOCKET_FRAME_S, self._end_rest)
            elif self._held:
                self._loop.call_soon(self._go_on)
        if self._held or not may_read or self._rest is not None:
            self._flow.pause_reading()
        else:
            self._flow.resume_reading()

    def _end_rest(self) -> None:
        self._rest = None
        self._go_on()

    def _hear(self, frame: Frame) -> None:
        name = frame.opcode.name
        if name in ("TEXT", "BINARY"):
            self._is_text = name == "TEXT"
        if name in ("TEXT", "BINARY", "CONT"):
            self._message += frame.data
            if self._is_over:
                self._message.clear()
            elif frame.fin:
                whole, self._message = bytes(self._message), bytearray()
                said = {"text": whole.decode(errors="replace")} if self._is_text else {"bytes": whole}
                self._heard.append({"type": "websocket.receive", **said})
                self._bell.set()

    def _flush(self) -> None:
        for piece in self._wire.data_to_send():
            if self._transport.is_closing():
                break
            if piece:
                self._transport.write(piece)
            else:
                self._transport.write_eof()
        if self._wire.close_expected():
            # The client has been told, or has said it: it may take its time to hear, but not for ever.
            self._end_soon()

    def _end_soon(self) -> None:
        """Hear nothing more, and end the connection if it does not end by itself."""
        self._is_over = True
        if not self._is_accepted:
            self._held = b""
        self._bell.set()
        if self._end is None:
            self._end = self._loop.call_later(bounds.SOCKET_CLOSE_S, self._transport.abort)
