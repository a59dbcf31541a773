"""A server of this process, with all paths and real connections, before a Kiln; and a reader of its streams."""

from __future__ import annotations

import json
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPResponse
from typing import NamedTuple

from kiln.buckets.uploads import Uploads
from kiln.console.sessions import MemorySessions
from kiln.ground.clock import to_seconds_text
from kiln.ground.vouching import Voucher
from kiln.operations import CATALOGUE
from kiln.service.consoles import own_console
from kiln.service.http import make_server
from kiln.service.secrets import Sealer
from kiln.service.settings import Settings
from kiln.wire.app import Site, make_app
from kiln.wire.dispatch import Dispatcher
from kiln.wire.gateway import Gateway
from kiln.wire.http.bounds import GATHERINGS, Room
from kiln.wire.http.crowd import Crowd
from kiln.wire.http.tls import Certificates
from kiln.wire.key import Key
from kiln.wire.nonces import MemoryNonces
from kiln.wire.oss.call import OssSite
from kiln.wire.oss.gate import OssGate
from kiln.wire.paths.consoles import Consoles
from kiln.wire.paths.events import Limits
from kiln.wire.paths.metrics import Metrics
from kiln.wire.paths.terminal import TerminalLimits, TerminalSite
from kiln.wire.paths.threads import Threads
from kiln.wire.signatures import acs3
from tests.clouds import ACCOUNT, OTHER, REGION, Cloud

TERMINAL_LIMITS = TerminalLimits()


class Keys:
    """One key of each account, in memory; each can be switched off."""

    def __init__(self) -> None:
        self.off: set[str] = set()
        self.sessions: dict[str, Key] = {}  #: By their tokens.

    def access_key(self, key_id: str) -> Key | None:
        if key_id not in {ACCOUNT, OTHER}:
            return None
        return Key(id=key_id, secret=f"secret-{key_id}", account_id=key_id, active=key_id not in self.off)

    def session(self, token: str) -> Key | None:
        return self.sessions.get(token)

    def app(self, app_key: str) -> Key | None:
        return None

    def instance(self, instance_id: str, role: str) -> Key | None:
        return None

    def users(self, account_id: str) -> frozenset[str]:
        return frozenset()


class Answered(NamedTuple):
    """An HTTP answer."""

    status: int
    headers: dict[str, str]
    body: bytes


@dataclass
class Served:
    """The server, and what it stands before."""

    cloud: Cloud
    address: tuple[str, int]
    keys: Keys
    voucher: Voucher | None  #: Of its console.
    crowd: Crowd
    server: object = field(repr=False)
    thread: threading.Thread

    def signed(self, account: str = ACCOUNT, path: str = "/events", **more: str) -> dict[str, str]:
        """The headers of a signed request for a stream."""
        return acs3.sign(
            method="GET",
            host=f"{self.address[0]}:{self.address[1]}",
            action="Events",
            version="2014-05-26",
            query={},
            key_id=account,
            secret=f"secret-{account}",
            date=to_seconds_text(self.cloud.clock()),
            nonce=uuid.uuid4().hex,
            path=path,
            **more,
        )

    def ask(self, method: str, path: str, headers: dict[str, str] | None = None, body: bytes = b"") -> Answered:
        """The answer to a request; of a stream its head alone."""
        with closing(HTTPConnection(*self.address, timeout=300)) as connection:
            connection.request(method, path, body or None, headers or {})
            with closing(connection.getresponse()) as response:
                is_whole = response.headers["content-length"] is not None
                return Answered(response.status, dict(response.headers), response.read() if is_whole else b"")

    @contextmanager
    def stream(self, account: str = ACCOUNT, accept: str = "text/event-stream") -> Iterator[Stream]:
        """A stream of what changes in the account; closed at the end by its reader."""
        connection = HTTPConnection(*self.address, timeout=300)
        connection.request("GET", "/events", headers={**self.signed(account), "accept": accept})
        response = connection.getresponse()
        try:
            yield Stream(response)
        finally:
            if connection.sock is not None:
                connection.sock.shutdown(socket.SHUT_RDWR)
            response.close()
            connection.close()

    def until(self, connections: int) -> None:
        """Wait until the server has so many connections and no more."""
        deadline = time.monotonic() + 300
        while self.crowd.counts["connections"] != connections:
            assert time.monotonic() < deadline, self.crowd.counts
            time.sleep(0.01)

    def stop(self) -> None:
        """Stop it, and wait until it has ended."""
        self.server.should_exit = True
        self.thread.join(300)
        assert not self.thread.is_alive()


class Stream:
    """Reads server-sent events."""

    def __init__(self, response: HTTPResponse) -> None:
        self.status = response.status
        self._response = response
        if self.status == 200:
            assert self.next() == ("listening", None)

    def next(self) -> tuple[str, dict | None]:
        """The next event and its data, or a comment and None; ("", None) at the end."""
        name, data = "", None
        while line := self._response.readline().decode():
            word, _, rest = line.rstrip("\n").partition(": ")
            if line == "\n":
                return name, data
            if word in {"", "event"}:
                name = rest
            elif word == "data":
                data = json.loads(rest)
        return "", None

    def change(self) -> tuple[str, str, str | None, str | None]:
        """The next change."""
        name, data = self.next()
        while name == "beat":
            name, data = self.next()
        assert name == "change", name
        assert data is not None
        return data["ResourceType"], data["ResourceId"], data["OldStatus"], data["NewStatus"]


@contextmanager
def start_site(
    cloud: Cloud,
    limits: Limits,
    room: Room,
    health: Callable[[], tuple[bool, dict]] = lambda: (True, {"status": "ok"}),
    certify: Callable[[int], Certificates | None] = lambda _: None,
    *,
    terminals: TerminalLimits = TERMINAL_LIMITS,
    metrics: Metrics | None = None,
) -> Iterator[Served]:
    """The server on a free port, until the context ends."""
    keys, crowd, ready = Keys(), Crowd(room), threading.Event()
    with socket.socket() as listener, ThreadPoolExecutor(2) as executor, ThreadPoolExecutor(GATHERINGS + 1) as movers:
        listener.bind(("127.0.0.1", 0))
        listener.listen(1024)
        settings, sealer = Settings(data=cloud.folder, cache=cloud.folder), Sealer.in_folder(cloud.folder)
        console = own_console(settings, listener, sealer, MemorySessions(cloud.clock))
        voucher = console.place.voucher
        gateway = Gateway(Dispatcher(CATALOGUE, cloud.ports), keys, MemoryNonces(), cloud.clock, voucher=voucher)
        site = Site(
            gateway=gateway,
            threads=Threads(executor, at_once=2),
            alive=health,
            ready=health,
            hub=cloud.ports.database.hub,
            oss=OssGate(
                OssSite(
                    credentials=keys,
                    database=cloud.ports.database,
                    buckets=cloud.ports.buckets,
                    uploads=Uploads(cloud.ports.buckets),
                    clock=cloud.clock,
                    region=REGION,
                )
            ),
            movers=movers,
            terminal=TerminalSite(
                terminals=cloud.ports.terminals,
                database=cloud.ports.database,
                consoles=Consoles(cloud.ports.machines),
                clock=cloud.clock,
                limits=terminals,
            ),
            limits=limits,
            metrics=metrics,
            console=console,
        )
        certificates = certify(listener.getsockname()[1])
        server = make_server(make_app(site), crowd, begins=ready.set, certificates=certificates)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        assert ready.wait(300)
        served = Served(
            cloud=cloud,
            address=listener.getsockname(),
            keys=keys,
            voucher=voucher,
            crowd=crowd,
            server=server,
            thread=thread,
        )
        try:
            yield served
        finally:
            served.stop()
