"""One connection: uvicorn's HTTP protocol, bounded.

uvicorn bounds nothing of what comes before a request is whole, and parses all
that arrives at once, however many requests it is. Here the parser is given a
little at a time, and nothing while there are requests to answer; what is too
long or takes too long is refused with its HTTP status, if there is anybody to
tell, and the connection ends.

A connection speaks TLS from its first byte on, or after a CONNECT to a name that
is answered here, or not at all. All bounds are those of the HTTP in it; before
there is any, a handshake has as long as a head.
"""

from __future__ import annotations

import http
import sys
from functools import partial
from typing import TYPE_CHECKING, Any

import httptools
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from kiln.ground.journal import Journal
from kiln.ground.peers import name_of
from kiln.wire.doors.door import Answer
from kiln.wire.http import bounds
from kiln.wire.http.arriving import Arriving
from kiln.wire.http.crowd import Crowd
from kiln.wire.http.direct import Paths, may_be_direct, spelled
from kiln.wire.http.flow import Flow
from kiln.wire.http.lingering import AnswerTransport, Linger, telling
from kiln.wire.http.names import OwnNames
from kiln.wire.http.refusals import refusal
from kiln.wire.http.streams import Stream
from kiln.wire.http.tls import HANDSHAKE_BYTE, Certificates, TlsBroken, TlsTransport
from kiln.wire.http.upgrade import is_absolute, path_of, socket_scope, without_upgrade
from kiln.wire.http.websocket import WebSocket

if TYPE_CHECKING:
    import asyncio
    import ssl

    from uvicorn._types import ASGI3Application

log = Journal("kiln.wire")


class BoundedProtocol(HttpToolsProtocol):
    """See the module. *crowd*, *table*, *names* and *certificates* are what all connections of a server share."""

    crowd: Crowd
    table: Paths
    names: OwnNames
    certificates: Certificates | None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.flow = Flow(transport, self)
        self._now = self.loop.time
        self._running: RequestResponseCycle | None = None
        self._due: tuple[RequestResponseCycle, ASGI3Application] | None = None
        self._is_at_head = self._has_begun = False
        self._arriving = Arriving(self._now())
        self._unread_since: float | None = None
        self._head_again = b""
        self._piece: bytes | memoryview = b""
        self._held: bytes | memoryview = b""
        self._linger: Linger | None = None
        self._tls: TlsTransport | None = None
        self._tunnel: ssl.SSLContext | None = None
        self._socket: WebSocket | None = None
        self._socket_due: tuple[WebSocket, Any] | None = None
        self._sealed = b""
        status = self.crowd.come(self, name_of(self.client[0] if self.client else ""))
        if status:
            self._tell("too_many_of_peer" if status == http.HTTPStatus.TOO_MANY_REQUESTS else "too_many")
            transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self.crowd.leave(self)
        self._held = b""
        self._leave_cycles()
        if self._socket is not None:
            self._socket.lose()
        super().connection_lost(exc)

    def give_way(self) -> None:
        """End at once, and say nothing."""
        self._leave_cycles()
        self.transport.abort()

    def _leave_cycles(self) -> None:
        """Tell all who answer here that nobody listens. uvicorn tells the last, and the others would write."""
        for cycle in (self._running, self.cycle, *(cycle for cycle, _ in self.pipeline)):
            if cycle is not None and not cycle.response_complete:
                cycle.disconnected = True
                cycle.message_event.set()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._running = cycle
        self._due = cycle, app
        if not self._is_at_head:
            self._begin_due()

    def _begin_due(self) -> None:
        """Have the request answered: by a task, or, where that is not needed, once it is whole."""
        assert self._due is not None  # Who calls has looked.
        cycle, app = self._due
        direct = None if self.flow.write_paused or not may_be_direct(cycle) else self.table.direct(cycle.scope)
        if direct is None:
            self._due = None
            cycle.transport = AnswerTransport(lambda: self.transport, partial(self._end_after, cycle))
            super()._start_asgi_task(cycle, telling(app, cycle))
        elif not cycle.more_body:
            self._due = None
            direct.begin(cycle.scope, bytes(cycle.body), partial(self._answer, cycle))

    def _answer(self, cycle: RequestResponseCycle, answer: Answer | None, error: BaseException | None) -> None:
        """Send a whole answer."""
        if cycle.disconnected or self.transport.is_closing():
            return
        if answer is None:
            log.error("answer_failed", reason=repr(error))
            answer = Answer(500, (), b"")
        cycle.response_started = cycle.response_complete = True
        self.transport.write(spelled(answer, self.server_state.default_headers, keep_alive=cycle.keep_alive))
        if not cycle.keep_alive:
            self.transport.close()
        self.on_response_complete()

    def check_time(self, now: float) -> None:
        """End if something has taken too long."""
        if self._linger is not None:
            if self._linger.is_over(now):
                self.give_way()
        elif self._unread_since is not None and now - self._unread_since > bounds.UNREAD_S:
            self.crowd.count("answer_unread")
            self.give_way()
        elif not self._is_answering and self._socket is None:
            self._check_asking(now)

    def _check_asking(self, now: float) -> None:
        """The same where no whole request has come."""
        if self._tls is not None and not self._tls.is_established:
            if self._arriving.is_head_late(now):
                self.crowd.count("handshake_late")
                self.give_way()
        elif not self._arriving.is_in_head:
            if self._arriving.is_body_late(now, is_ours=self._keeps_waiting):
                self._refuse("body_late")
        elif self._arriving.is_head_late(now):
            if self._arriving.head_bytes:
                self._refuse("head_late")
            else:
                self.crowd.count("silent")
                self.transport.close()

    def data_received(self, data: bytes) -> None:
        if self._linger is not None:
            if self._linger.take(len(data), self._now()):
                self.flow.pause_reading()
                self.loop.call_later(bounds.LINGER_REST_S, self._read_on)
            return
        if not self._has_begun:
            self._has_begun = True
            if not self._begin(data[0]):
                return
        if self._tls is None:
            self._take(data)
        else:
            self._take_sealed(self._tls, data)

    def _take(self, data: bytes) -> None:
        if self._socket is not None:
            self._socket.take(data)
            return
        self._arriving.came(self._now())
        self._held = memoryview(b"".join((self._held, data)) if self._held else data)
        self.go_on()

    def _begin(self, first: int) -> bool:
        """Choose by its first byte what this connection speaks; whether it may go on."""
        host, port = self.server or ("", None)
        if first == HANDSHAKE_BYTE:
            context = None if self.certificates is None else self.certificates.of_address(host)
            if context is None:
                self.crowd.count("connect_closed")
                self.give_way()
                return False
            self._speak_tls(context)
        elif self.certificates is not None and self.certificates.is_alone(port or 0):
            self._refuse("plain_text")
            return False
        return True

    def _speak_tls(self, context: ssl.SSLContext) -> None:
        """From here on what comes is TLS, and what goes."""
        self._tls = self.transport = TlsTransport(self.transport, context)
        self.scheme = "https"
        self._arriving.time_head_anew(self._now())

    def _take_sealed(self, tls: TlsTransport, data: bytes) -> None:
        was_established = tls.is_established
        try:
            plain = tls.receive(data)
        except TlsBroken as broken:
            self.crowd.count("tls_broken")
            log.info("connection_refused", reason="tls_broken", words=str(broken), peer=self.client and self.client[0])
            self._leave_cycles()
            self.transport.close()
            return
        if tls.is_established and not was_established:
            self._arriving.time_head_anew(self._now())
        if plain:
            self._take(plain)
        if tls.has_ended and not self.eof_received():
            self.transport.close()

    def go_on(self) -> None:
        """Parse what has come, until there is something to answer."""
        while self._held and not self._is_busy and not self.transport.is_closing():
            many = self._arriving.next_slice
            piece, self._held = self._held[:many], self._held[many:]
            self._feed(piece)
        if self._held:
            self.flow.pause_reading()
        elif self.cycle is None or len(self.cycle.body) <= HIGH_WATER_LIMIT:
            self.flow.resume_reading()
        if self._sealed and self._tls is not None:
            sealed, self._sealed = self._sealed, b""
            self._take_sealed(self._tls, sealed)

    def shutdown(self) -> None:
        """End as soon as there is nothing to answer: half a request is no reason to wait."""
        if self._is_answering and self._unread_since is not None and self.cycle.chunked_encoding:
            self.give_way()  # A stream that nobody reads does not end.
        elif self._is_answering:
            super().shutdown()
        elif self._socket is None:  # Whose application ends it.
            self.transport.close()

    @property
    def has_held(self) -> bool:
        """Whether there are bytes that nobody has parsed."""
        return bool(self._held)

    @property
    def _keeps_waiting(self) -> bool:
        """Whether it is not the client that is slow."""
        is_asked = self.cycle is None or not self.cycle.waiting_for_100_continue
        return self.flow.read_paused or self.has_held or not is_asked

    @property
    def _is_busy(self) -> bool:
        """Whether there is a request to answer, and another behind it."""
        return bool(self.pipeline) or (self._is_answering and self._arriving.is_in_head) or self._linger is not None

    @property
    def _is_answering(self) -> bool:
        """Whether a request has come whole, and its answer has not gone."""
        return self.cycle is not None and not self.cycle.response_complete and not self.cycle.more_body

    def _feed(self, piece: bytes | memoryview) -> None:
        began_in_head = self._arriving.is_in_head
        self._arriving.time_head(self._now())
        self._piece = piece
        super().data_received(piece)  # type: ignore[arg-type]  # Its parser takes whatever holds bytes.
        if self.transport.is_closing() or self._linger is not None:
            return
        self._arriving.take_parsed(len(piece), began_in_head=began_in_head)
        if self._arriving.fault:
            self._refuse(self._arriving.fault)

    def eof_received(self) -> bool:  # type: ignore[override]
        if self._socket is not None:
            self._socket.take_end()
            return False
        if self._is_answering and not self.cycle.chunked_encoding:
            self.cycle.keep_alive = False  # Who sends nothing more may listen all the same, but to no stream.
            return True
        return False

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._arriving.begin()

    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        self._arriving.take_target(len(self.url))

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._arriving.is_in_head:
            # A trailer comes after the body. Nobody signs it, so it is no header.
            self._arriving.take_trailer()
            return
        super().on_header(name, value)
        self._arriving.take_header(len(name) + len(value), len(self.headers))

    def on_headers_complete(self) -> None:
        self._arriving.end_head(self.headers, self._now())
        if self._arriving.fault:
            return
        if self.parser.get_method() == b"CONNECT":
            self._find_tunnel()
            return
        if self._is_for_others():
            self._arriving.fault = "proxy_elsewhere"
            return
        if self.parser.should_upgrade():
            self._find_socket()
            return
        # uvicorn would take the target apart by the rules of addresses, which some clients' do not keep.
        target, self.url = self.url, b"/"
        self._is_at_head = True
        super().on_headers_complete()
        self._is_at_head = False
        path, self.scope["query_string"] = path_of(target)
        self.scope["raw_path"], self.scope["path"] = path, path.decode("latin-1")
        if self.table.is_streamed(self.scope):
            self._arriving.stream = Stream(self._now())
            self.crowd.ask(self)
        if self._due is not None:
            self._begin_due()

    def on_chunk_header(self) -> None:
        self._arriving.begin_chunk()

    def on_chunk_complete(self) -> None:
        self._arriving.end_chunk()

    def on_body(self, body: bytes) -> None:
        self._arriving.take_body(len(body))
        if not self._arriving.fault:
            super().on_body(body)

    def on_message_complete(self) -> None:
        self._arriving.end()
        if not self._arriving.fault and not self._head_again and self._tunnel is None and self._socket_due is None:
            super().on_message_complete()
            if self._due is not None:
                self._begin_due()
            if self.cycle.response_complete:
                self.crowd.wait(self)
            else:
                self.crowd.ask(self)

    def on_response_complete(self) -> None:
        if self._linger is not None:
            return
        super().on_response_complete()
        if self._arriving.is_in_head and not self.pipeline and not self._is_answering:
            self.crowd.wait(self)
        self.go_on()

    def _end_after(self, cycle: RequestResponseCycle) -> None:
        """Close behind an answer, which may have come before all of its request."""
        # Behind an earlier request, it is that one's answer which is complete.
        if cycle.more_body and cycle is self.cycle:
            self._throw_rest_away()
        else:
            self.transport.close()

    def _throw_rest_away(self) -> None:
        """Send nothing more, and read what still comes, unseen; who has to wait for this place has it."""
        self._held = b""
        self._linger = Linger(self._now())
        self.crowd.wait(self)
        self.flow.resume_reading()
        if not self.transport.is_closing():
            self.transport.write_eof()

    def _read_on(self) -> None:
        if not self.transport.is_closing():
            self.flow.resume_reading()

    def pause_writing(self) -> None:
        self._unread_since = self._now()
        super().pause_writing()

    def resume_writing(self) -> None:
        self._unread_since = None
        super().resume_writing()
        if self._socket is not None:
            self._socket.go_on_writing()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - what the parser did not like is not told.
        self._refuse(self._arriving.fault or "bad_request")

    def _unsupported_upgrade_warning(self) -> None:
        """Such a request is answered as if nobody had asked for another protocol, and what follows its head is HTTP."""
        upgrade, head = sys.exc_info()[1], self._head_again
        assert isinstance(upgrade, httptools.HttpParserUpgrade)  # It is what uvicorn calls this for.
        if self._arriving.fault:
            return
        rest = b"".join((self._piece[upgrade.args[0] :], self._held))
        if self._socket_due is not None:
            self._held, (self._socket, app) = b"", self._socket_due
            self.crowd.ask(self)
            self._socket.begin(app, rest, self.tasks)
            return
        self.parser = httptools.HttpRequestParser(self)
        if self._tunnel is not None:
            # A client that did not wait for the answer has sent its first words of TLS already.
            self._held, self._sealed = b"", rest
            self.transport.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            self._speak_tls(self._tunnel)
            self._tunnel = None
            return
        self._head_again, self._held = b"", memoryview(rest)
        # As uvicorn's own: what comes after "Connection: close" is not looked at.
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self.parser.feed_data(head)

    def _find_socket(self) -> None:
        """Look whether a WebSocket is asked for where there is one; else the request is read as one for HTTP."""
        method = self.parser.get_method()
        version = self.parser.get_http_version()
        scope = None if self._is_busy or self._is_answering else socket_scope(self.scope, method, self.url, version)
        app = None if scope is None else self.table.socket(scope)
        if scope is None or app is None:
            # The parser takes a body for the other protocol's: it reads the head again, without the wish.
            self._head_again = without_upgrade(method, self.url, version, self.headers)
        else:
            self._socket_due = WebSocket(self.transport, self.flow, scope), app

    def _is_for_others(self) -> bool:
        """Whether a client takes this server for its proxy, and asks for what is not here."""
        host, port = self.server or ("", None)
        return is_absolute(self.url) and not self.names.is_proxied(self.url.decode("latin-1"), (host, port or 0))

    def _find_tunnel(self) -> None:
        """Look where CONNECT leads: to ourselves, or nowhere."""
        if self._tls is not None or self.pipeline or (self.cycle is not None and not self.cycle.response_complete):
            self._arriving.fault = "connect_within"
        elif self.certificates is None:
            self._arriving.fault = "connect_closed"
        else:
            host, port = self.server or ("", None)
            self._tunnel = self.certificates.of_tunnel(self.url.decode("latin-1"), (host, port or 0))
            self._arriving.fault = "" if self._tunnel is not None else "connect_elsewhere"

    def _refuse(self, reason: str) -> None:
        """Say why, once, and end."""
        if self._linger is not None or self.transport.is_closing():
            return
        self._held = b""
        self.crowd.count(reason)
        log.info("connection_refused", reason=reason, peer=self.client[0] if self.client else "")
        cycle = self.cycle
        is_first = cycle is None or cycle.response_complete or (cycle.more_body and not cycle.response_started)
        if not is_first or self.pipeline:
            self.give_way()  # An answer is on its way: whatever came now would be taken for a part of it.
            return
        self._tell(reason)
        self._leave_cycles()
        self._throw_rest_away()

    def _tell(self, reason: str) -> None:
        self.transport.write(refusal(reason))


def bounded_by(
    crowd: Crowd, table: Paths, names: OwnNames, certificates: Certificates | None = None
) -> type[BoundedProtocol]:
    """The protocol of a server whose connections are *crowd*, whose paths *table* has, and that is meant by *names*."""
    members: dict[str, Any] = {"crowd": crowd, "table": table, "names": names, "certificates": certificates}
    return type("BoundedProtocol", (BoundedProtocol,), members)
