"""A port that a server has to be told beforehand: where it cannot be given 0, or has to keep its port over its ends."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterator
from contextlib import contextmanager

#: Below those that the kernel gives to who asks for any: else somebody's connection might have it between two starts
#: of the server, and a connection to one where nobody listens might meet itself there.
_QUIET = range(20_000, 32_000)


@contextmanager
def reserved_port() -> Iterator[int]:
    """A TCP port of 127.0.0.1 that nobody has, and that no other test is given before the context ends.

    What is held meanwhile is the UDP port of the same number: of all processes that ask here one has it, a server may
    still listen at its TCP port, and the kernel lets it go whatever becomes of the test.
    """
    for port in random.sample(_QUIET, len(_QUIET)):
        with socket.socket(type=socket.SOCK_DGRAM) as held, socket.socket() as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if all(_takes(one, port) for one in (held, tried)):
                tried.close()
                yield port
                return
    raise AssertionError("every port is somebody's")


def _takes(one: socket.socket, port: int) -> bool:
    try:
        one.bind(("127.0.0.1", port))
    except OSError:
        return False
    return True
