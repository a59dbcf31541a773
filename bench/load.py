"""Many clients at once: requests are signed before the clock starts, and sent over kept connections.

The load runs in the measuring process, on another core than the server where
there are two, so that what is measured is the server. A client sends its next
request when it has its answer.
"""

from __future__ import annotations

import asyncio
import os
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import quote

import uvloop

from bench.server import KEY_ID, SECRET, Server
from kiln.ground.clock import to_seconds_text
from kiln.wire.signatures import rpc

CLIENTS = 32


@dataclass(frozen=True)
class Outcome:
    """What a load came to."""

    requests: int
    failed: int
    seconds: float
    cpu_seconds: float  #: Of the server.
    latencies_ms: tuple[float, ...]

    @property
    def rate(self) -> float:
        """Requests a second, all of them answered with 200."""
        return (self.requests - self.failed) / self.seconds

    @property
    def cpu_ms(self) -> float:
        """The server's processor time for a request."""
        return self.cpu_seconds / self.requests * 1000

    @property
    def cost(self) -> str:
        """The server's processor time, for people. On a busy machine it says more than the rate."""
        if not self.cpu_seconds:  # A short load may fall between two ticks of the kernel's clock.
            return "less processor time than the kernel counts"
        return f"{self.cpu_ms:.2f} ms of processor time each, which is {1000 / self.cpu_ms:,.0f}/s of a core"

    def percentile(self, p: float) -> float:
        """Milliseconds within which *p* percent were answered."""
        return sorted(self.latencies_ms)[min(len(self.latencies_ms) - 1, int(len(self.latencies_ms) * p / 100))]


def query(params: Mapping[str, str]) -> str:
    """A signed query of the classic door."""
    signed = rpc.sign(
        {"Version": "2014-05-26", "Format": "JSON", **params},
        method="GET",
        key_id=KEY_ID,
        secret=SECRET,
        timestamp=to_seconds_text(time.time()),
        nonce=uuid.uuid4().hex,
    )
    return "&".join(f"{quote(name, safe='~')}={quote(value, safe='~')}" for name, value in signed.items())


def load(server: Server, requests: Iterable[Mapping[str, str]], clients: int = CLIENTS) -> Outcome:
    """Send all *requests* by so many clients."""
    return send(server, [to_bytes(server, params) for params in requests], clients)


def to_bytes(server: Server, params: Mapping[str, str]) -> bytes:
    """A whole request of the classic door, signed now."""
    host = server.endpoint.removeprefix("http://")
    return f"GET /?{query(params)} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()


def spread(servers: Sequence[Server], requests: Sequence[Mapping[str, str]], clients: int = CLIENTS) -> Outcome:
    """Send *requests* by so many clients, of whom each server has as many, and as much to do, as the others."""
    several = len(servers)
    shares = [
        (server, [to_bytes(server, params) for params in requests[n::several]]) for n, server in enumerate(servers)
    ]
    return _sent(shares, clients // several)


def send(server: Server, ready: Sequence[bytes], clients: int = CLIENTS) -> Outcome:
    """Send whole requests, to whomever, by so many clients; who is hung up on after an answer calls again."""
    return _sent([(server, ready)], clients)


_Share = tuple[Server, Sequence[bytes]]  #: What one server is sent.


def _sent(shares: Sequence[_Share], clients: int) -> Outcome:
    """Send each server its share by so many clients of its own."""
    cores = {server.core for server, _ in shares if server.core is not None}
    with _beside(cores), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_load(shares, clients))


@contextmanager
def _beside(cores: set[int]) -> Iterator[None]:
    """Keep this process off the servers' cores."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, before - cores or before)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


async def _load(shares: Sequence[_Share], clients: int) -> Outcome:
    links = [
        (await _Link.open(*_host_of(server)), ready[n::clients]) for server, ready in shares for n in range(clients)
    ]
    servers = [server for server, _ in shares]
    began, cpu_began = time.perf_counter(), sum(server.cpu_s for server in servers)
    results = await asyncio.gather(*(_client(link, ready) for link, ready in links))
    seconds, cpu_seconds = time.perf_counter() - began, sum(server.cpu_s for server in servers) - cpu_began
    for link, _ in links:
        link.writer.close()
    latencies = tuple(ms for times, _ in results for ms in times)
    return Outcome(len(latencies), sum(failed for _, failed in results), seconds, cpu_seconds, latencies)


def _host_of(server: Server) -> tuple[str, int]:
    host, _, port = server.endpoint.removeprefix("http://").rpartition(":")
    return host, int(port)


@dataclass
class _Link:
    """A client's connection."""

    host: str
    port: int
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @classmethod
    async def open(cls, host: str, port: int) -> _Link:
        return cls(host, port, *await asyncio.open_connection(host, port))

    async def ask(self, request: bytes) -> bool:
        """Send a request and read all of its answer; whether that is well."""
        self.writer.write(request)
        head = (await self.reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
        await self.reader.readexactly(length)
        if b"\r\nconnection: close\r\n" in head:
            self.writer.close()
            self.reader, self.writer = await asyncio.open_connection(self.host, self.port)
        return head.startswith(b"http/1.1 200")


async def _client(link: _Link, share: Sequence[bytes]) -> tuple[list[float], int]:
    times, failed = [], 0
    for request in share:
        began = time.perf_counter()
        failed += not await link.ask(request)
        times.append((time.perf_counter() - began) * 1000)
    return times, failed
