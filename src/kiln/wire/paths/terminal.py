"""A terminal on an instance's serial console, by a WebSocket that speaks Session Manager's protocol.

    GET /session?sessionid=ts-...&token=...     Upgrade: websocket
      <- OUTPUT                what the console shows; at first what it has shown last
      -> INPUT                 what is typed; an empty one says that the client is there
      -> SIZE, CLOSE           heeded are those who leave: a serial port has no size
      <- STATUS 5, reason      the session is over; then the WebSocket is closed

StartTerminalSession gives the token, which does for one time. A session ends with
its client, its machine, its key, EndTerminalSession, this server, or for silence.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import NamedTuple
from urllib.parse import parse_qsl

from kiln.calls.terminals import OVER, TerminalRefused, Terminals, find, role_of
from kiln.ground.clock import Clock
from kiln.ground.journal import Journal
from kiln.ground.peers import name_of
from kiln.ground.terminal_messages import CLOSED, Malformed, Type, pack, unpack
from kiln.ground.values import dataclass
from kiln.machines.errors import MachineError
from kiln.store.database import Database
from kiln.store.errors import DatabaseBusy, DatabaseDown, DatabaseFull
from kiln.store.terminals import Terminal as Session
from kiln.wire.gateway import Gateway
from kiln.wire.http.bounds import (
    BEAT_S,
    TERMINAL_GOODBYE_S,
    TERMINAL_IDLE_S,
    TERMINAL_QUERY,
    TERMINAL_WAITING,
    TERMINALS,
)
from kiln.wire.key import Key
from kiln.wire.paths.asgi import Receive, Scope, Send, client_of
from kiln.wire.paths.consoles import Console, Consoles, Viewer
from kiln.wire.paths.threads import Threads

log = Journal("kiln.wire")

_PIECE = 16 * 1024  #: Of what the console shows, in one message.
_NORMAL, _GOING_AWAY = 1000, 1001
_STOPS = "this Kiln stops"
_IDLE = "nothing came from its client for too long"
_KEY_GONE = "its key is no more in use"
_LONGEST_REASON = 120  #: Bytes that a closing frame has room for.


class TerminalLimits(NamedTuple):
    """How many may be joined at a time, and for how long."""

    in_all: int = TERMINALS
    idle_s: float = TERMINAL_IDLE_S
    beat_s: float = BEAT_S  #: So often its key is looked at.
    waiting: int = TERMINAL_WAITING


@dataclass(frozen=True, kw_only=True)
class TerminalSite:
    """What terminals are made of."""

    terminals: Terminals
    database: Database
    consoles: Consoles
    clock: Clock
    limits: TerminalLimits = TerminalLimits()


class TerminalPath:
    """See the module. All is on the event loop's thread."""

    def __init__(self, gateway: Gateway, threads: Threads, site: TerminalSite) -> None:
        self._gateway = gateway
        self._threads = threads
        self._terminals = site.terminals
        self._database = site.database
        self._consoles = site.consoles
        self._clock = site.clock
        self._limits = site.limits
        self._viewers: set[Viewer] = set()
        self._has_ended = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        viewer = Viewer(self._limits.waiting)
        loop = asyncio.get_running_loop()

        def end(reason: str) -> None:
            with suppress(RuntimeError):  # The loop is closed, and with it the connection.
                loop.call_soon_threadsafe(viewer.end, reason)

        try:
            named, token = self._asked(scope)
        except TerminalRefused as refused:
            await _refuse(scope, send, 429 if isinstance(refused, _TooMany) else 403, str(refused))
            return
        self._viewers.add(viewer)
        peer = name_of(client_of(scope))
        try:
            session = await self._threads.run(
                peer, self._terminals.join, self._database, named, token, self._clock(), end
            )
        except TerminalRefused as refused:
            self._viewers.discard(viewer)
            await _refuse(scope, send, 403, str(refused))
            return
        except (DatabaseDown, DatabaseBusy, DatabaseFull) as error:
            self._viewers.discard(viewer)
            log.warning("terminal_not_joined", reason=str(error))
            await _refuse(scope, send, 503, "The database takes no session just now.")
            return
        except BaseException:
            self._viewers.discard(viewer)
            raise
        log.info("terminal_opened", session=session.id, account=session.account, instance=session.instance)
        try:
            await send({"type": "websocket.accept"})
            await self._serve(session, viewer, peer, receive, send)
        finally:
            self._viewers.discard(viewer)
            log.info("terminal_closed", session=session.id, account=session.account, reason=viewer.reason)
            await self._threads.run(peer, self._record_end, session, viewer)

    def _record_end(self, session: Session, viewer: Viewer) -> None:
        end, now = self._terminals.end, self._clock()
        try:
            end(self._database, session.id, viewer.reason, now, has_failed=viewer.has_failed)
        except (DatabaseDown, DatabaseBusy, DatabaseFull) as error:
            # It is told as one that is joined, until this process has ended.
            log.warning("terminal_end_not_recorded", session=session.id, reason=str(error))

    def end(self) -> None:
        """End every session."""
        self._has_ended = True
        for viewer in self._viewers:
            viewer.end(_STOPS)
        self._consoles.end()

    def _asked(self, scope: Scope) -> tuple[str, str]:
        """Which session is to be joined, and the token for it. Raises TerminalRefused."""
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        if not _is_own(headers.get(b"origin"), headers.get(b"host", "")):
            raise TerminalRefused("A page of another origin may not open terminals here.")
        if self._has_ended or len(self._viewers) >= self._limits.in_all:
            raise _TooMany("There are as many terminals as there may be.")
        query: bytes = scope["query_string"]
        if len(query) > TERMINAL_QUERY:
            raise TerminalRefused(f"The query is longer than {TERMINAL_QUERY // 1024} KiB.")
        given = {name.lower(): value for name, value in parse_qsl(query.decode("latin-1"))}
        token = given.get("token") or headers.get(b"x-acs-session-token", "")
        return given.get("sessionid", ""), token

    async def _serve(self, session: Session, viewer: Viewer, peer: str, receive: Receive, send: Send) -> None:
        """Show and type until it ends; then say why."""
        out = _Out(send, self._clock)
        key = Key(id=session.access_key_id, secret="", account_id=session.account, session=role_of(session))
        is_allowed = partial(self._threads.run, peer, self._gateway.is_in_use, key)
        if not await is_allowed():  # The URL is good for ten minutes, its key perhaps not so long.
            viewer.end(_KEY_GONE)
            await out.say_goodbye(viewer.reason)
            return
        try:
            console = await self._consoles.join(session.instance, viewer)
        except MachineError as error:
            viewer.end(str(error), has_failed=True)
            await out.say_goodbye(viewer.reason)
            return
        tasks = [
            asyncio.ensure_future(work)
            for work in (
                self._show(viewer, out),
                self._type(console, viewer, receive),
                self._watch(viewer, is_allowed, partial(self._threads.run, peer, self._is_over, session)),
                viewer.ended.wait(),
            )
        ]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            viewer.end(viewer.reason)
            # What the guest printed last is shown before it is said why nothing more comes.
            await asyncio.wait(tasks[:1], timeout=TERMINAL_GOODBYE_S)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await console.leave(viewer)
        if viewer.reason == OVER:
            viewer.reason = await self._threads.run(peer, self._why_over, session)
        await out.say_goodbye(viewer.reason)

    async def _show(self, viewer: Viewer, out: _Out) -> None:
        # Official clients type nothing before they have been shown something.
        await out.say(Type.OUTPUT, b"")
        while piece := await viewer.take(_PIECE):
            await out.say(Type.OUTPUT, piece)

    async def _type(self, console: Console, viewer: Viewer, receive: Receive) -> None:
        while True:
            try:
                async with asyncio.timeout(self._limits.idle_s):
                    message = await receive()
                    if message["type"] == "websocket.disconnect":
                        return
                    kind, typed = unpack(message.get("bytes") or b"")
                    if kind == Type.CLOSE or (kind == Type.STATUS and typed[:1] == bytes([CLOSED])):
                        return
                    if kind == Type.INPUT and typed:
                        await console.type(typed)
                    elif kind not in (Type.INPUT, Type.SIZE, Type.STATUS):
                        viewer.end(f"its client sent a message of type {kind}, which is none of a terminal's")
                        return
            except TimeoutError:
                viewer.end(_IDLE)
                return
            except Malformed as error:
                viewer.end(f"its client does not speak Session Manager's protocol: {error}")
                return

    async def _watch(
        self, viewer: Viewer, is_allowed: Callable[[], Awaitable[bool]], is_over: Callable[[], Awaitable[bool]]
    ) -> None:
        while True:
            await asyncio.sleep(self._limits.beat_s)
            if not await is_allowed():
                viewer.end(_KEY_GONE)
                return
            if await is_over():  # The news of it may have been lost on its way from another process.
                viewer.end(OVER)
                return

    def _is_over(self, session: Session) -> bool:
        try:
            found = self._found(session)
        except (DatabaseDown, DatabaseBusy):
            return False  # Nobody can say so, and the console is not the database's.
        return found is None or found.ended_at is not None

    def _why_over(self, session: Session) -> str:
        """Why a session is over that others have ended, as its row says: the news of it say only that it is."""
        try:
            found = self._found(session)
        except (DatabaseDown, DatabaseBusy):
            return OVER
        return OVER if found is None else found.reason or OVER

    def _found(self, session: Session) -> Session | None:
        with self._database.read() as tx:
            return find(tx, session.id, self._clock())


class _TooMany(TerminalRefused):
    """There are as many as there may be; another may come later."""


class _Out:
    """What goes to one client, numbered."""

    def __init__(self, send: Send, clock: Clock) -> None:
        self._send = send
        self._clock = clock
        self._number = 0

    async def say(self, kind: Type, payload: bytes) -> None:
        message = pack(kind, payload, self._number, int(self._clock() * 1000))
        self._number += 1
        await self._send({"type": "websocket.send", "bytes": message})

    async def say_goodbye(self, reason: str) -> None:
        """Say why it is over, to the program and to the library that it uses."""
        words = f"Exit: {reason}".encode()
        with suppress(TimeoutError):  # Who reads nothing is not waited for, and the server may be about to stop.
            async with asyncio.timeout(TERMINAL_GOODBYE_S):
                await self.say(Type.STATUS, bytes([CLOSED]) + words)
        code = _GOING_AWAY if reason == _STOPS else _NORMAL
        short = words[:_LONGEST_REASON].decode(errors="ignore")
        await self._send({"type": "websocket.close", "code": code, "reason": short})


def _is_own(origin: str | None, host: str) -> bool:
    """Whether a page of this server asks, or a program that is no browser."""
    return origin is None or origin.partition("://")[2].lower() == host.lower()


async def _refuse(scope: Scope, send: Send, status: int, words: str) -> None:
    log.info("terminal_refused", peer=client_of(scope), reason=words)
    headers = [(b"content-type", b"text/plain; charset=utf-8")]
    await send({"type": "websocket.http.response.start", "status": status, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": f"{words}\n".encode()})
