"""What lies between a process and PostgreSQL, and can be cut as a network is."""

from __future__ import annotations

import select
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

_SOCKET = ".s.PGSQL.5432"


class Line:
    """A socket in a folder of its own, by which a server is reached until the line is cut."""

    def __init__(self, folder: Path, address: str) -> None:
        parts = urlsplit(address)
        asked = parse_qs(parts.query)
        self._server = Path(asked["host"][0]) / f".s.PGSQL.{asked.get('port', ['5432'])[0]}"
        folder.mkdir()
        others = "".join(f"&{name}={quote(value[0])}" for name, value in asked.items() if name not in ("host", "port"))
        self.address = f"postgresql://{parts.netloc}{parts.path}?host={quote(str(folder), safe='')}{others}"
        self._is_cut = threading.Event()
        self._ends: list[socket.socket] = []
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(str(folder / _SOCKET))
        self._listening.listen(64)
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def cut(self) -> None:
        """Have each side find the other gone, and nobody come through any more."""
        self._is_cut.set()
        for one in list(self._ends):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def mend(self) -> None:
        """Let through who comes from now on."""
        self._is_cut.clear()

    def close(self) -> None:
        self.cut()
        self._listening.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        self._listening.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                theirs = self._listening.accept()[0]
                if self._is_cut.is_set():
                    theirs.close()
                    continue
                self._threads.append(threading.Thread(target=self._pass_on, args=[theirs]))
                self._threads[-1].start()

    def _pass_on(self, theirs: socket.socket) -> None:
        with theirs, socket.socket(socket.AF_UNIX) as ours, suppress(OSError):
            ours.connect(str(self._server))
            self._ends += [theirs, ours]
            while True:
                for one in select.select([theirs, ours], [], [])[0]:
                    if not (block := one.recv(65536)):
                        return
                    (ours if one is theirs else theirs).sendall(block)


@contextmanager
def line(folder: Path, address: str) -> Iterator[Line]:
    """A line to the server of a database's *address*, with its socket in *folder*, whose path is short."""
    made = Line(folder, address)
    try:
        yield made
    finally:
        made.close()
