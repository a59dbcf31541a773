"""What is measured between two ends of a network, wherever they stand: round trips, and how fast bytes go."""

from __future__ import annotations

import contextlib
import socket
import threading
import time

ECHO, SINK = 443, 9
_AT_ONCE = 1 << 18


def serve(port, handle, came=None):
    """Hand each connection to a thread of its own; *came* gets a line of it."""
    listener = socket.create_server(("", port), backlog=1024)

    def accept():
        while True:
            connection, peer = listener.accept()
            if came is not None:
                came.append(f"tcp {connection.getsockname()[0]}")
            threading.Thread(target=handle, args=(connection, peer), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()


def echo(connection, _):
    """Send back what comes."""
    with contextlib.suppress(OSError), connection:
        while said := connection.recv(_AT_ONCE):
            connection.sendall(said)


def swallow(connection, _):
    """Say one byte when all has come."""
    with contextlib.suppress(OSError), connection:
        while connection.recv(_AT_ONCE):
            pass
        connection.sendall(b"x")


def round_trips(address, port, count):
    """Seconds of each, of one byte by one connection."""
    taken = []
    with socket.socket() as connection:
        connection.settimeout(300)  # By no name, whose codec would be loaded now.
        connection.connect((address, port))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in range(count):
            began = time.perf_counter()
            connection.sendall(b"x")
            assert connection.recv(1) == b"x"
            taken.append(time.perf_counter() - began)
    return taken


def seconds_to_send(address, port, size_bytes):
    """From the first byte to the answer that all have come; the connection stands by then."""
    block = bytes(_AT_ONCE)
    with socket.socket() as connection:
        connection.settimeout(300)  # By no name, whose codec would be loaded now.
        connection.connect((address, port))
        began = time.perf_counter()
        for _ in range(size_bytes // len(block)):
            connection.sendall(block)
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(1) == b"x"
        return time.perf_counter() - began
