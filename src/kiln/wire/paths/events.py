"""What changes in an account, told while it happens: a stream of server-sent events for whoever signs for it.

    GET /events, signed (ACS3)
      : listening                                  what changes from here on is told
      event: change
      data: {"ResourceType": "image", "ResourceId": "m-...", "OldStatus": "Creating", "NewStatus": "Available"}
      : beat                                       nothing has happened for a while
      event: missed                                the reader was too slow, or Kiln was: look at everything again
      data: {}

A change is news; what is so, the Describe actions tell. One thread listens to
the hub for all streams, and only while there are some. A stream has a bounded
queue; one that nobody reads is ended by its connection.
"""

from __future__ import annotations

import asyncio
import json
import threading
import uuid
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import cached_property
from operator import attrgetter
from typing import NamedTuple

from kiln.declare.cloud_events import MEDIA_TYPE, cloud_event, written
from kiln.declare.errors import ApiError, InvalidParameter
from kiln.ground.clock import Clock, system_clock
from kiln.ground.journal import Journal
from kiln.ground.peers import name_of
from kiln.store.changes import Change, Hub, Listener, News
from kiln.wire.doors.door import Answer, RawRequest
from kiln.wire.errors import ThrottlingEvents
from kiln.wire.gateway import Gateway
from kiln.wire.http.bounds import BEAT_S, STREAMS, STREAMS_OF_ACCOUNT
from kiln.wire.key import Key
from kiln.wire.paths.asgi import Receive, Scope, Send, send_whole, to_request
from kiln.wire.paths.threads import Threads

log = Journal("kiln.wire")

#: Changes that wait for one reader. Some 25 KiB.
_WAITING = 128

_HEAD = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),  # Else nginx keeps it back until there is a page of it.
)
_LISTENING, _BEAT, _MISSED = b": listening\n\n", b": beat\n\n", b"event: missed\ndata: {}\n\n"

#: Changes that wait for the loop; those of all accounts, so that one's crowd costs others no more than another look.
_WAITING_FOR_ALL = 16_384

#: How long the last word of a stream may take when the server stops.
_FAREWELL_S = 0.5


class Limits(NamedTuple):
    """How many streams there may be at a time, and how often one says that it is there."""

    in_all: int = STREAMS
    of_account: int = STREAMS_OF_ACCOUNT
    beat_s: float = BEAT_S


class _Told:
    """A change, and what every reader is told of it alike, put into words once for all of them."""

    def __init__(self, change: Change, event_id: str, when: float) -> None:
        self.change = change
        self._id = event_id
        self._when = when

    @cached_property
    def as_change(self) -> bytes:
        fields = {
            "ResourceType": self.change.noun,
            "ResourceId": self.change.id,
            "OldStatus": self.change.old,
            "NewStatus": self.change.new,
        }
        return b"event: change\ndata: " + json.dumps(fields).encode() + b"\n\n"

    @cached_property
    def as_cloud_event(self) -> bytes:
        return b"event: cloudevent\ndata: " + written(cloud_event(self.change, self._id, self._when)) + b"\n\n"


_Spelling = Callable[[_Told], bytes]
_AS_CHANGE: _Spelling = attrgetter("as_change")
_AS_CLOUD_EVENT: _Spelling = attrgetter("as_cloud_event")


class Events:
    """See the module. All but ``_Ear`` is on the event loop's thread."""

    def __init__(
        self, gateway: Gateway, hub: Hub, threads: Threads, limits: Limits, clock: Clock = system_clock
    ) -> None:
        self._gateway = gateway
        self._clock = clock
        #: Beginning of the IDs of events that this server tells, and how many it has told.
        self._run, self._told = uuid.uuid4().hex[:12], 0
        self._hub = hub
        self._threads = threads
        self._limits = limits
        self._streams: dict[str, set[_Stream]] = {}  # By account.
        self._count = 0
        self._ear: _Ear | None = None
        self._has_ended = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = to_request(scope, (await receive())["body"])
        peer = name_of(request.client_host)
        try:
            key = await self._threads.run(peer, self._whose, request)
            stream = self._open(key, _AS_CLOUD_EVENT if _wants_cloud_events(request) else _AS_CHANGE)
        except ApiError as error:
            answer = self.refuse(scope, error)
            await send_whole(send, answer.status, answer.headers, answer.body)
            return
        log.info("events_opened", account=key.account_id, key=key.id, open=self._count)
        try:
            await self._stream(stream, peer, receive, send)
        finally:
            self._close(stream)
            log.info("events_closed", account=key.account_id, key=key.id, told=stream.told, reason=stream.reason)

    def refuse(self, scope: Scope, error: ApiError) -> Answer:
        """In the door's words."""
        return self._gateway.refuse(to_request(scope, b""), error)

    def end(self) -> None:
        """End every stream."""
        self._has_ended = True
        for stream in self._all():
            stream.end("the server stops")

    def hear(self, news: News) -> None:
        """Give every stream what its account may know."""
        if news.has_missed:
            for stream in self._all():
                stream.miss()
        when = self._clock()
        for change in news.changes:
            if change.is_shown and (streams := self._streams.get(change.account)):
                self._told += 1
                told = _Told(change, f"{self._run}-{self._told}", when)
                for stream in streams:
                    stream.put(told)

    def _whose(self, request: RawRequest) -> Key:
        key = self._gateway.whose(request)
        if request.query_string or request.body:
            raise InvalidParameter(parameter="*", rule=f"{request.path} takes no parameters")
        return key

    def _open(self, key: Key, spell: _Spelling) -> _Stream:
        of_account = self._streams.get(key.account_id, ())
        if len(of_account) >= self._limits.of_account:
            raise ThrottlingEvents(most=self._limits.of_account, whose="of an account")
        if self._count >= self._limits.in_all:
            raise ThrottlingEvents(most=self._limits.in_all, whose="in all")
        stream = _Stream(key, spell)
        self._streams.setdefault(key.account_id, set()).add(stream)
        self._count += 1
        if self._ear is None:
            self._ear = _Ear(self._hub.listen(most=_WAITING_FOR_ALL), self, asyncio.get_running_loop())
        if self._has_ended:
            stream.end("the server stops")
        return stream

    def _close(self, stream: _Stream) -> None:
        account = stream.key.account_id
        self._streams[account].discard(stream)
        self._count -= 1
        if not self._streams[account]:
            del self._streams[account]
        if not self._count and self._ear is not None:
            self._ear.close()
            self._ear = None

    def _all(self) -> Iterable[_Stream]:
        return [stream for streams in self._streams.values() for stream in streams]

    async def _stream(self, stream: _Stream, peer: str, receive: Receive, send: Send) -> None:
        """Tell until the reader leaves or the stream is ended, whatever the sending waits for."""
        telling = asyncio.ensure_future(self._tell(stream, peer, send))
        leaving = asyncio.ensure_future(_left(receive))
        ending = asyncio.ensure_future(stream.ended.wait())
        try:
            await asyncio.wait((telling, leaving, ending), return_when=asyncio.FIRST_COMPLETED)
            if stream.ended.is_set() and not leaving.done():
                # What is being sent is sent whole, or the last word would stand in the middle of it.
                await asyncio.wait((telling,), timeout=_FAREWELL_S)
        finally:
            for task in (telling, leaving, ending):
                task.cancel()
            await asyncio.gather(leaving, ending, return_exceptions=True)
            with suppress(asyncio.CancelledError):
                await telling

    async def _tell(self, stream: _Stream, peer: str, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": _HEAD})
        text = _LISTENING
        while not stream.ended.is_set():
            await send({"type": "http.response.body", "body": text, "more_body": True})
            text = await stream.take(self._limits.beat_s)
            if text is _BEAT and not await self._threads.run(peer, self._gateway.is_in_use, stream.key):
                stream.end("its key is no more in use")
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


class _Stream:
    """One reader's: what waits to be told to it."""

    def __init__(self, key: Key, spell: _Spelling) -> None:
        self.key = key
        self._spell = spell
        self.told = 0  #: Changes so far.
        self.reason = "its reader left"  #: Why it ended.
        self.ended = asyncio.Event()
        self._bell = asyncio.Event()
        self._waiting: deque[_Told] = deque()
        self._has_missed = False

    def put(self, change: _Told) -> None:
        """Add a change, or lose all that waits with it."""
        if len(self._waiting) >= _WAITING:
            self.miss()
        else:
            self._waiting.append(change)
            self._bell.set()

    def miss(self) -> None:
        """Lose what waits, and say so."""
        self._waiting.clear()
        self._has_missed = True
        self._bell.set()

    def end(self, reason: str) -> None:
        """Tell nothing more."""
        self.reason = reason
        self.ended.set()
        self._bell.set()

    async def take(self, beat_s: float) -> bytes:
        """The text of what is to be told; a beat where that is nothing for so long."""
        try:
            async with asyncio.timeout(beat_s):
                await self._bell.wait()
        except TimeoutError:
            return _BEAT
        self._bell.clear()
        text = (_MISSED if self._has_missed else b"") + b"".join(map(self._spell, self._waiting))
        self.told += len(self._waiting)
        self._waiting.clear()
        self._has_missed = False
        return text


def _wants_cloud_events(request: RawRequest) -> bool:
    """Whether CloudEvents are among what the reader accepts; who names nothing knows of none."""
    accepted = ",".join(value for name, value in request.headers if name == "accept").split(",")
    return any(one.partition(";")[0].strip().lower() == MEDIA_TYPE for one in accepted)


class _Ear:
    """The thread that listens to the hub for all streams, until ``close``."""

    def __init__(self, listener: Listener, events: Events, loop: asyncio.AbstractEventLoop) -> None:
        self._listener = listener
        self._events = events
        self._loop = loop
        self._is_closed = False
        threading.Thread(target=self._listen, name="events", daemon=True).start()

    def close(self) -> None:
        """Listen no more."""
        self._is_closed = True
        self._listener.close()

    def _listen(self) -> None:
        heard = threading.Event()

        def hear(news: News) -> None:
            try:
                if not self._is_closed:
                    self._events.hear(news)
            finally:
                heard.set()

        while not self._is_closed:
            news = self._listener.take()
            try:
                self._loop.call_soon_threadsafe(hear, news)
            except RuntimeError:
                return  # The loop is closed: the server has stopped.
            # A loop that is busy is given no more than it takes; what comes meanwhile waits in the listener's bounds.
            while not heard.wait(1.0) and not self._is_closed:
                pass
            heard.clear()
