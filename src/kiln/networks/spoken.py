"""What Kiln and a keeper say to each other: JSON with its length before it, and descriptors beside it.

Neither is a stranger to the other: only Kiln's own user may connect to a
keeper. Lengths are bounded all the same.
"""

from __future__ import annotations

import json
import os
import socket
import struct
from collections.abc import Sequence
from typing import Any

from kiln.ground import strict_json
from kiln.ground.strict_json import Numbers
from kiln.ground.units import MiB

SPEAKS = 3  #: Which words a keeper knows. One of an older Kiln that knows fewer gives way to one of this.
LONGEST_BYTES = 64 * MiB
MOST_DESCRIPTORS = 200  #: The kernel takes 253 at once.
_LENGTH = struct.Struct("!I")


def say(to: socket.socket, message: dict[str, Any], descriptors: Sequence[int] = ()) -> None:
    """Send a message. Raises OSError, TimeoutError."""
    body = json.dumps(message).encode()
    head = _LENGTH.pack(len(body))
    if descriptors:
        socket.send_fds(to, [head], list(descriptors))
    else:
        to.sendall(head)
    to.sendall(body)


def hear(of: socket.socket) -> tuple[dict[str, Any], list[int]]:
    """The next message and its descriptors, which are the caller's to close. Raises EOFError, OSError, ValueError."""
    head, descriptors, _, _ = socket.recv_fds(of, _LENGTH.size, MOST_DESCRIPTORS, socket.MSG_CMSG_CLOEXEC)
    try:
        return _said(of, head), descriptors
    except BaseException:
        for one in descriptors:
            os.close(one)
        raise


def _said(of: socket.socket, head: bytes) -> dict[str, Any]:
    head += _exactly(of, _LENGTH.size - len(head)) if head else b""
    if not head:
        raise EOFError
    (length,) = _LENGTH.unpack(head)
    if length > LONGEST_BYTES:
        raise ValueError("a message that is too long")
    # Its length is bounded, and so is what it holds.
    said = strict_json.read(_exactly(of, length).decode(), Numbers.AS_THEY_ARE, is_bounded=True)
    if not isinstance(said, dict):
        raise ValueError("a message that is no object")  # noqa: TRY004 - of a wrong value, as JSON's own errors are.
    return said


def _exactly(of: socket.socket, length: int) -> bytes:
    received = bytearray()
    while len(received) < length:
        more = of.recv(min(length - len(received), MiB))
        if not more:
            raise EOFError
        received += more
    return bytes(received)
