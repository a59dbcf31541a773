"""``kiln serve``: a Kiln that answers requests until it is told to stop."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from uvicorn.config import Config
from uvicorn.server import Server

from kiln.declare import killpoints
from kiln.operations import BY_NAME
from kiln.service import logs
from kiln.service.accounts import Keys, StoredCredentials, ensure_first_account
from kiln.service.assemble import Assembly, assemble, hold_data_folder
from kiln.service.health import health
from kiln.service.settings import Settings
from kiln.store import tasks
from kiln.tasks.worker import Worker
from kiln.upkeep.duties import DUTIES
from kiln.upkeep.keeper import Keeper
from kiln.wire.app import App
from kiln.wire.dispatch import Dispatcher
from kiln.wire.gateway import Gateway
from kiln.wire.nonces import MemoryNonces


def serve(settings: Settings, say: Callable[[str], None]) -> None:
    """Serve until SIGTERM or SIGINT. *say* prints what the operator should read."""
    logs.configure(settings.log)
    if settings.kill_at:
        killpoints.listen(_killer(settings.kill_at))
    with hold_data_folder(settings.data), _listen(settings) as listener, assemble(settings) as assembly:
        host, port = listener.getsockname()[:2]
        address = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        keys = ensure_first_account(assembly.database, assembly.sealer, settings, assembly.ports.clock())
        settings.folder.endpoint.write_text(address + "\n")
        _recover(assembly)
        worker = Worker(assembly.ports, DUTIES, threads=settings.workers)
        keeper = Keeper(assembly.ports)
        worker.start()
        keeper.start()
        try:
            with ThreadPoolExecutor(settings.threads, thread_name_prefix="request") as executor:
                app = _app(assembly, worker, executor)
                _greet(settings, keys, address, say)
                _run(app, listener)
        finally:
            keeper.stop()
            worker.stop()


def _listen(settings: Settings) -> socket.socket:
    host, port = settings.address
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(1024)
    except OSError:
        listener.close()
        raise
    return listener


def _recover(assembly: Assembly) -> None:
    """Take up what a stop or a crash left: nobody else can hold a lease on an embedded database."""
    assembly.pool.sweep()
    assembly.buckets.sweep()
    if assembly.database.is_sqlite:
        assembly.database.write(tasks.release_all)


def _app(assembly: Assembly, worker: Worker, executor: ThreadPoolExecutor) -> App:
    ports = assembly.ports
    gateway = Gateway(
        Dispatcher(BY_NAME, ports, worker.id, worker.hand_over),
        StoredCredentials(assembly.database, assembly.sealer, ports.clock),
        MemoryNonces(),
        ports.clock,
    )

    return App(gateway, executor, lambda: health(ports))


def _run(app: App, listener: socket.socket) -> None:
    config = Config(
        app,
        http="httptools",
        loop="uvloop",
        lifespan="off",
        ws="none",  # Else a request to upgrade fails, or not, by what else is installed.
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=10,
        backlog=1024,
    )
    _Server(config).run(sockets=[listener])


class _Server(Server):
    """A server whose end is ours: uvicorn would raise the signal again, and the worker would not be stopped."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Let SIGTERM and SIGINT end the serving, and nothing else."""
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _greet(settings: Settings, keys: Keys, address: str, say: Callable[[str], None]) -> None:
    if keys.are_new:
        say(f"first start in {settings.data}: account {keys.account}")
        say(f"  AccessKey ID      {keys.access_key_id}")
        say(f"  AccessKey secret  {keys.access_key_secret}")
        say(f"  AppKey            {keys.app_key}")
        say(f"  AppSecret         {keys.app_secret}")
        say("  These are shown once. `kiln env` prints them as settings for clients.")
    say(f"listening on {address}")


def _killer(point: str) -> Callable[[str], None]:
    """End the program at the n-th passing of a point (``name`` or ``name:n``), leaving everything as it is."""
    name, _, count = point.partition(":")
    left = int(count or 1)

    def hook(reached: str) -> None:
        nonlocal left
        if reached == name:
            left -= 1
            if left == 0:
                os._exit(137)

    return hook
