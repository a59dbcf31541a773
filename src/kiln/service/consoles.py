"""The console where it is served: beside the API on its own server, or alone, as a client of one elsewhere.

It is loaded with the first request for a page. What makes pages takes a quarter
of the time of a start, and most Kilns are never looked at.
"""

from __future__ import annotations

import asyncio
import importlib
import socket
from collections.abc import Callable
from contextlib import closing
from functools import partial
from http import HTTPStatus
from urllib.parse import urlsplit

from kiln.client.signature import encode
from kiln.client.transport import Transport
from kiln.console import through
from kiln.console.asking import FORM, LINKS, ROOT, link_path
from kiln.console.hosts import Hosts, is_loopback
from kiln.console.sessions import Keys as Pair
from kiln.console.sessions import MemorySessions, Sessions, SessionsUnavailable
from kiln.console.visit import Place
from kiln.ground.clock import system_clock
from kiln.ground.journal import Journal
from kiln.ground.vouching import Voucher
from kiln.service import http
from kiln.service.accounts import Keys
from kiln.service.operators import is_proved, prove
from kiln.service.secrets import Sealer
from kiln.service.settings import Settings, to_address
from kiln.service.signed_in import SharedSessions
from kiln.store.database import Database
from kiln.wire.http.bounds import make_room
from kiln.wire.http.crowd import Crowd
from kiln.wire.paths.asgi import Application, Receive, Scope, Send
from kiln.wire.paths.table import Path, Table

log = Journal("kiln.service")


class LaterConsole:
    """The ASGI application of a console at *place*."""

    def __init__(self, place: Place, address: str = "") -> None:
        self.place = place
        self._address = address
        self._loading: asyncio.Future[Application] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._loading is None:
            self._loading = asyncio.get_running_loop().run_in_executor(None, partial(_load, self.place))
        await (await asyncio.shield(self._loading))(scope, receive, send)

    def link(self, keys: Keys) -> str:
        """The path that signs in with *keys*, once; nothing where this is not on the loopback, or there are none."""
        if not is_loopback(self._address) or not keys.access_key_id:
            return ""
        pair = Pair(keys.access_key_id, keys.access_key_secret)
        try:
            return link_path(self.place.sessions.make_link(pair, is_operators=True))
        except SessionsUnavailable as error:
            log.warning("console_without_link", reason=str(error))
            return ""

    def end(self) -> None:
        """End it, and the sessions that are this process's alone."""
        if self._loading is not None and self._loading.done() and self._loading.exception() is None:
            application = self._loading.result()
            application.end()  # type: ignore[attr-defined]


def sessions_of(database: Database, sealer: Sealer) -> Sessions:
    """Who has signed in at the console: at this process, or where others answer too, at any of them."""
    return MemorySessions(system_clock) if database.is_sqlite else SharedSessions(database, sealer, system_clock)


def own_console(settings: Settings, listener: socket.socket, sealer: Sealer, sessions: Sessions) -> LaterConsole:
    """The console of a Kiln that listens there, where it asks its own API."""
    endpoint = f"http://{http.bound(listener)}"
    host = listener.getsockname()[0]
    public = urlsplit(f"//{settings.public_endpoint}").hostname or ""
    hosts = Hosts([*settings.own_names, public], [host, to_address(http.reach(listener))[0]])
    place = Place(
        endpoint=endpoint,
        region=settings.region_ids[0],
        hosts=hosts,
        sessions=sessions,
        voucher=Voucher(),
        is_proof=partial(is_proved, sealer),
    )
    sessions.attach(place.client)
    return LaterConsole(place, host)


def elsewhere(place: Place, console: LaterConsole, *, beat_s: float = through.BEAT_S) -> Table[None]:
    """What is served of the console of a Kiln elsewhere: its pages, and what browsers reach of that Kiln through it."""
    paths: tuple[Path[None], ...] = (
        Path(at=ROOT, make=lambda _: console, has_below=True, about="The console."),
        Path(
            at=through.BELOW,
            make=lambda _: through.ObjectsThrough(place),
            methods=("GET", "PUT"),
            claims=through.claims,
            is_streamed=True,
            about="Parts of files on their way to the Kiln, and files on their way from there.",
        ),
        Path(
            at=through.BELOW + through.SESSION,
            make=lambda _: through.TerminalsThrough(place, beat_s),
            methods=("GET",),
            is_socket=True,
            about="Terminals of that Kiln's instances.",
        ),
    )
    return Table(paths, None)


def serve_console(endpoint: str, keys: Pair, region: str, say: Callable[[str], None]) -> None:
    """Serve a console of the API at *endpoint*, on the loopback, until SIGTERM or SIGINT; *say* is told its link."""
    place = Place(
        endpoint=endpoint, region=region, hosts=Hosts(), sessions=MemorySessions(system_clock), is_beside=False
    )
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        console = LaterConsole(place, "127.0.0.1")
        link = f"http://{http.bound(listener)}{link_path(place.sessions.make_link(keys))}"
        http.run(elsewhere(place, console), [listener], Crowd(make_room()), begins=partial(say, link))


class NoLink(Exception):
    """Whoever was asked gives no link to a console."""


def ask_for_link(endpoint: str, key_id: str, key_secret: str, sealer: Sealer) -> str:
    """A link that signs in the operator, whose *sealer* shows it, once at the console of the Kiln at *endpoint*.

    Raises NoLink, Unreachable, SecretBroken.
    """
    transport = Transport(endpoint)
    try:
        body = encode({"key_id": key_id, "key_secret": key_secret, "proof": prove(sealer)}).encode()
        kind = {"content-type": FORM}
        reply = transport.send("POST", ROOT + LINKS, kind, body)
    finally:
        transport.close()
    text = reply.body.decode(errors="replace").strip()
    if reply.status != HTTPStatus.CREATED or not text.isprintable():
        raise NoLink(f"{endpoint} gives no link: {text[:200]!r}")
    return transport.endpoint + text


def _load(place: Place) -> Application:
    application: Application = importlib.import_module("kiln.console.app").Console(place)
    return application
