"""What a request costs when nothing is done for it: an HTTP server that gives the same bytes to whoever asks.

It has the event loop and the parser that Kiln has, and nothing else. Run as a
program it says where it listens.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvloop
from httptools import HttpRequestParser

from bench.server import Server


class _Bare(asyncio.Protocol):
    """One connection."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._parser = HttpRequestParser(self)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        self._transport.write(self._answer)


@contextmanager
def open_bare(answer_bytes: int, core: int | None) -> Iterator[Server]:
    """Such a server in a process of its own, on *core* alone where one is given."""
    began = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.bare", str(answer_bytes), "" if core is None else str(core)],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None  # It is a pipe.
        endpoint = process.stdout.readline().strip()
        yield Server(endpoint, process.pid, Path(), time.monotonic() - began, core)
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


async def _serve(answer: bytes) -> None:
    server = await asyncio.get_running_loop().create_server(lambda: _Bare(answer), "127.0.0.1", 0)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    if sys.argv[2]:
        os.sched_setaffinity(0, {int(sys.argv[2])})
    head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {sys.argv[1]}\r\n\r\n"
    uvloop.run(_serve(head.encode() + b"x" * int(sys.argv[1])))
