"""Serves HTTP: uvicorn with httptools, its connections bounded, its end ours."""

from __future__ import annotations

import asyncio
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from ipaddress import ip_address
from typing import Any

from uvicorn.config import Config
from uvicorn.server import Server

from kiln.service.own_address import own_address
from kiln.wire.http.bounds import IDLE_S
from kiln.wire.http.crowd import Crowd
from kiln.wire.http.names import OwnNames
from kiln.wire.http.protocol import bounded_by
from kiln.wire.http.tls import Certificates
from kiln.wire.paths.table import Table

#: uvicorn ticks ten times a second.
_TICKS_A_SECOND = 10


def run(
    app: Table[Any],
    listeners: Sequence[socket.socket],
    crowd: Crowd,
    *,
    names: OwnNames | None = None,
    certificates: Certificates | None = None,
    begins: Callable[[], None] = lambda: None,
    ends: Callable[[], None] = lambda: None,
    ticks: Callable[[], None] = lambda: None,
) -> None:
    """Answer what comes to *listeners* until SIGTERM or SIGINT.

    *begins* is called once requests are answered and those signals end it in
    order, *ends* when one has come, *ticks* some times a second on the event
    loop. Without *certificates* there is no TLS.
    """
    server = make_server(app, crowd, names=names, certificates=certificates, begins=begins, ends=ends, ticks=ticks)
    server.run(sockets=list(listeners))


def make_server(
    app: Table[Any],
    crowd: Crowd,
    *,
    names: OwnNames | None = None,
    certificates: Certificates | None = None,
    begins: Callable[[], None] = lambda: None,
    ends: Callable[[], None] = lambda: None,
    ticks: Callable[[], None] = lambda: None,
) -> Server:
    """What ``run`` runs. Off the main thread, which alone hears signals, it ends when its ``should_exit`` is set."""
    config = Config(
        app,
        http=bounded_by(crowd, app, names or OwnNames(), certificates),
        loop="uvloop",
        lifespan="off",
        ws="none",  # Else a request to upgrade fails, or not, by what else is installed.
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # Else whoever is on this host could say that a request came from elsewhere.
        timeout_keep_alive=int(IDLE_S),
        timeout_graceful_shutdown=10,
        backlog=1024,
    )
    return _Server(config, app, crowd, begins=begins, ends=ends, ticks=ticks)


def bound(listener: socket.socket) -> str:
    """HOST:PORT where *listener* listens."""
    host, port = listener.getsockname()[:2]
    return _joined(host, port)


def reach(listener: socket.socket) -> str:
    """HOST:PORT at which clients reach *listener*; where it listens on every address, that of this host."""
    host, port = listener.getsockname()[:2]
    return _joined(own_address(listener.family) if ip_address(host).is_unspecified else host, port)


def _joined(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


class _Server(Server):
    """A server whose end is ours: uvicorn would raise the signal again, and the worker would not be stopped."""

    def __init__(
        self,
        config: Config,
        app: Table[Any],
        crowd: Crowd,
        *,
        begins: Callable[[], None],
        ends: Callable[[], None],
        ticks: Callable[[], None],
    ) -> None:
        super().__init__(config)
        self._app = app
        self._crowd = crowd
        self._begins = begins
        self._ends = ends
        self._ticks = ticks

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Let SIGTERM and SIGINT end the serving, and nothing else."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Say so when all is ready, and not before: whoever hears it may send a signal at once."""
        await super().startup(sockets)
        self._begins()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Say so, and end what is open: first the answers that would not end by themselves."""
        try:
            self._ends()
        finally:
            self._app.end()
            await super().shutdown(sockets)

    async def on_tick(self, counter: int) -> bool:
        """Look at every connection's time once a second."""
        self._ticks()
        if counter % _TICKS_A_SECOND == 0:
            self._crowd.check_times(asyncio.get_running_loop().time())
        return await super().on_tick(counter)
