"""The consoles of running machines, each connected to once and shared by all who look at it.

A machine's serial port takes one connection, and what the guest prints waits for
it. So it is read as fast as the guest prints, whoever looks; a reader who is
slower than that loses the oldest of what waits for it, and is told how much.

The console of a machine on another host is that host's to connect to; who looks at
it here shares one connection to there.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, Protocol

from kiln.ground.control_symbols import text_alone
from kiln.machines.errors import MachineMissing
from kiln.machines.port import Machines
from kiln.wire.http.bounds import TERMINAL_GOODBYE_S, TERMINAL_WAITING

#: What was printed last, for who joins: a screen or two.
_RECENT = 4096
_READ = 16 * 1024
_AT_ONCE = 4  #: Consoles that are connected to at a time; QEMU answers in milliseconds, or in seconds.

ENDED = "the machine has stopped"
NO_GUEST = "no guest runs here: this Kiln keeps its machines as states only"


class ConsoleLost(Exception):
    """Nothing more is known of what the console shows; the message says why."""


class Source(Protocol):
    """What a console shows."""

    async def read(self, most: int, /) -> bytes:
        """The next of it; empty when the machine has stopped. Raises ConsoleLost, ConnectionError."""


class OtherHosts(Protocol):
    """The consoles of machines that are not this process's."""

    def find(self, instance: str, /) -> Any:
        """What ``open`` takes of an instance of another host; else None. On any thread. Raises MachineError."""

    async def open(self, found: Any, instance: str, /) -> tuple[Source, asyncio.StreamWriter]:
        """What the console shows, and where what is typed goes. Raises MachineError."""


class Viewer:
    """One who looks at a console: what it has printed, and has not been taken."""

    def __init__(self, most: int = TERMINAL_WAITING) -> None:
        self.reason = "its client left"  #: Why it ended.
        self.has_failed = False
        self.ended = asyncio.Event()
        self._most = most
        self._waiting = bytearray()
        self._lost = 0
        self._bell = asyncio.Event()

    def put(self, printed: bytes) -> None:
        """Add what was printed; where too much waits, the oldest of it is lost."""
        self._waiting += printed
        if len(self._waiting) > self._most:
            lost = len(self._waiting) - self._most // 2
            del self._waiting[:lost]
            self._lost += lost
        self._bell.set()

    def end(self, reason: str, *, has_failed: bool = False) -> None:
        """Have it be over, for the first reason that is told."""
        if not self.ended.is_set():
            self.reason, self.has_failed = reason, has_failed
            self.ended.set()
            self._bell.set()

    async def take(self, most: int) -> bytes:
        """What is to be shown next, *most* bytes of it; empty when all has been and it has ended."""
        while not self._waiting and not self.ended.is_set():
            self._bell.clear()
            await self._bell.wait()
        if self._lost:
            lost, self._lost = self._lost, 0
            return f"\r\n[Kiln: {lost} bytes are left out here, which came faster than they were read]\r\n".encode()
        piece = bytes(self._waiting[:most])
        del self._waiting[:most]
        return piece


class Console:
    """One machine's serial port."""

    def __init__(self, forget: Callable[[], None]) -> None:
        self.viewers: set[Viewer] = set()
        self._forget = forget
        self._recent = bytearray()
        self.is_open = True  #: Whether there is somebody who looks, or somebody who is about to.
        self.has_ended = False  #: Whether its machine has, or the host that has it.
        self.why = ENDED
        self._writer: asyncio.StreamWriter | None = None
        self._reading: asyncio.Task[None] | None = None

    async def open(self, port: socket.socket, printed: bytes) -> None:
        """Begin to read; *printed* is what was before."""
        self._recent += printed[-_RECENT:]
        self.read(*await asyncio.open_unix_connection(sock=port))

    def read(self, source: Source, writer: asyncio.StreamWriter) -> None:
        """Begin to read what is shown from *source*; what is typed goes to *writer*."""
        self._writer = writer
        self._reading = asyncio.ensure_future(self._read(source))

    def join(self, viewer: Viewer) -> None:
        """Show *viewer* what was printed last, and what will be."""
        viewer.put(_plain(bytes(self._recent)))
        self.viewers.add(viewer)
        if self.has_ended:
            viewer.end(self.why)

    async def leave(self, viewer: Viewer) -> None:
        """Show it nothing more; with the last who looks the connection ends, and what the guest does not take is lost.

        Returns when it has ended, so that it is free for who comes next.
        """
        self.viewers.discard(viewer)
        if self.viewers:
            return
        self.close()
        if self._writer is not None:
            with suppress(ConnectionError, TimeoutError):
                async with asyncio.timeout(TERMINAL_GOODBYE_S):
                    await self._writer.wait_closed()
            self._writer.transport.abort()

    async def type(self, typed: bytes) -> None:
        """Give the guest what was typed; waits while it takes nothing."""
        if self._writer is not None:
            with suppress(ConnectionError):
                self._writer.write(typed)
                await self._writer.drain()

    def close(self) -> None:
        """End the connection."""
        self.is_open = False
        self._forget()
        if self._reading is not None and self._reading is not asyncio.current_task():
            self._reading.cancel()
        if self._writer is not None:
            self._writer.close()

    async def _read(self, source: Source) -> None:
        try:
            while printed := await source.read(_READ):
                self._recent += printed
                del self._recent[:-_RECENT]
                for viewer in self.viewers:
                    viewer.put(printed)
        except ConsoleLost as lost:
            self.why = str(lost)
        except ConnectionError:
            pass
        self.has_ended = True
        for viewer in self.viewers:
            viewer.end(self.why)
        self.close()


class Consoles:
    """All that somebody looks at. On the event loop's thread, but for what asks *machines*."""

    def __init__(self, machines: Machines, others: OtherHosts | None = None) -> None:
        self._machines, self._others = machines, others
        self._open: dict[str, asyncio.Task[Console]] = {}
        self._threads: ThreadPoolExecutor | None = None

    async def join(self, instance: str, viewer: Viewer) -> Console:
        """The console of a running machine, at which *viewer* looks from now on. Raises MachineError."""
        while True:
            opening = self._open.get(instance)
            if opening is None:
                opening = self._open[instance] = asyncio.ensure_future(self._connect(instance))
            try:
                console = await asyncio.shield(opening)
            except BaseException:
                if opening.done():  # Else who waits has been sent away, and others may wait on.
                    self._drop(instance, opening)
                raise
            if console.is_open or console.has_ended:  # Else the last who looked has left just now.
                console.join(viewer)
                return console

    def end(self) -> None:
        """Ask no machine any more."""
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)

    async def _connect(self, instance: str) -> Console:
        if self._threads is None:
            self._threads = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="console")
        this, port = asyncio.current_task(), None
        console = Console(lambda: self._drop(instance, this))
        try:
            loop = asyncio.get_running_loop()
            if self._others is not None:
                found = await loop.run_in_executor(self._threads, self._others.find, instance)
                if found is not None:
                    console.read(*await self._others.open(found, instance))
                    return console
            port, printed = await loop.run_in_executor(self._threads, self._ask, instance)
            if port is None:
                raise MachineMissing(NO_GUEST)
            await console.open(port, printed)
        except OSError as error:
            if port is not None:
                port.close()
            raise MachineMissing(f"The console of {instance} cannot be read: {error}.") from error
        return console

    def _ask(self, instance: str) -> tuple[socket.socket | None, bytes]:
        port = self._machines.terminal(instance)
        try:
            return port, self._machines.console(instance)
        except BaseException:
            if port is not None:
                port.close()
            raise

    def _drop(self, instance: str, opened: object) -> None:
        if self._open.get(instance) is opened:
            del self._open[instance]


def _plain(recent: bytes) -> bytes:
    """Whole lines and no orders: a terminal would answer once more what the guest asked of one before."""
    whole = recent if len(recent) < _RECENT else recent.partition(b"\n")[2]
    return text_alone(whole).replace(b"\n", b"\r\n")
