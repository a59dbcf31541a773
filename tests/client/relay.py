"""What stands between a client and a Kiln: it passes bytes on, speaks TLS where it is to, and can break."""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass
class Relay:
    """Listens on a port of its own."""

    address: str
    to: tuple[str, int]
    context: ssl.SSLContext | None
    connections: list[socket.socket] = field(default_factory=list)

    def cut(self) -> None:
        """Break every connection that there is; new ones are passed on as before."""
        for one in self.connections:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def pass_on(self, theirs: socket.socket) -> None:
        """All that comes from either side to the other, until one of them ends."""
        with contextlib.suppress(OSError), socket.create_connection(self.to) as ours:
            talk = self.context.wrap_socket(theirs, server_side=True) if self.context else theirs
            self.connections.append(talk)
            with talk:
                while True:
                    pending = isinstance(talk, ssl.SSLSocket) and talk.pending()
                    readable = [talk] if pending else select.select([talk, ours], [], [])[0]
                    for one in readable:
                        if not (block := one.recv(65536)):
                            return
                        (ours if one is talk else talk).sendall(block)


@contextmanager
def relayed(to: tuple[str, int], context: ssl.SSLContext | None = None) -> Iterator[Relay]:
    """A relay before *to*."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        scheme = "https" if context else "http"
        relay = Relay(f"{scheme}://127.0.0.1:{listening.getsockname()[1]}", to, context)
        threads = []

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    threads.append(threading.Thread(target=relay.pass_on, args=(listening.accept()[0],)))
                    threads[-1].start()

        first = threading.Thread(target=accept)
        first.start()
        try:
            yield relay
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            first.join()
            relay.cut()
            for thread in threads:
                thread.join()
