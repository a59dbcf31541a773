"""Unix sockets under paths of any length.

The kernel takes at most 108 bytes of path, and a data folder may lie deep. So
sockets are named through a descriptor of their folder, ``/proc/self/fd/N/name``.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_RETRY_S = 0.005


def listen(path: Path) -> socket.socket:
    """A listening socket at *path*, which replaces what was there; only Kiln's own user may connect."""
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    try:
        with _short(path) as name:
            listener.bind(name)
        path.chmod(0o600)
        listener.listen()
    except BaseException:
        listener.close()
        raise
    return listener


def bind(path: Path) -> socket.socket:
    """A socket for datagrams at *path*, which replaces what was there; only the owner of the file may send to it."""
    path.unlink(missing_ok=True)
    receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        with _short(path) as name:
            receiver.bind(name)
        path.chmod(0o600)
    except BaseException:
        receiver.close()
        raise
    return receiver


def connect(path: Path, timeout_s: float) -> socket.socket:
    """A connected socket, whose own timeout is *timeout_s* too.

    Raises FileNotFoundError and ConnectionRefusedError when nobody listens,
    TimeoutError when the listener's queue stays full.
    """
    deadline = time.monotonic() + timeout_s
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.settimeout(timeout_s)
        with _short(path) as name:
            while True:
                try:
                    connection.connect(name)
                except BlockingIOError:
                    # QEMU sets its queue to one: somebody else is about to be served.
                    if time.monotonic() > deadline:
                        raise TimeoutError(f"{path.name} is busy") from None
                    time.sleep(_RETRY_S)
                else:
                    return connection
    except BaseException:
        connection.close()
        raise


@contextmanager
def _short(path: Path) -> Iterator[str]:
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)
