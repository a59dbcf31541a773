"""The messages of a terminal session, as Session Manager's clients and its agent in a guest speak them.

Each is one binary message of a WebSocket. Numbers are little-endian:

    type 4 | version 4 | n 1 | session ID n | m 1 | instance ID m | ms since 1970 8 | number 8 | length 4 | payload

``ali-instance-cli`` leaves both IDs empty. Source: docs/sources.md, "Session Manager".
"""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import NamedTuple

_VERSION = b"1.01"
_HEAD = struct.Struct("<I4s")
_REST = struct.Struct("<QqI")
_LEAST = _HEAD.size + 2 + _REST.size

#: What a payload of STATUS begins with when the session is over; the reason follows.
CLOSED = 5


class Type(IntEnum):
    """What a message is."""

    INPUT = 0  #: What was typed; empty: the client is still there.
    OUTPUT = 1  #: What the terminal shows.
    SIZE = 2  #: Rows and columns of the client's window.
    CLOSE = 3  #: The client leaves.
    STATUS = 5  #: One byte says what; see CLOSED.


class Malformed(ValueError):
    """The bytes are no message."""


class Message(NamedTuple):
    """A message."""

    type: int
    payload: bytes


def pack(type: Type, payload: bytes, number: int, now_ms: int) -> bytes:  # noqa: A002 - the protocol's own word.
    """A message; *number* counts those of this side, and *now_ms* is the time, which may not be 0."""
    return _HEAD.pack(type, _VERSION) + b"\0\0" + _REST.pack(now_ms, number, len(payload)) + payload


def unpack(data: bytes) -> Message:
    """Read a message. Raises Malformed, also where its length is another than it says."""
    if len(data) < _LEAST:
        raise Malformed("a message is at least its head")
    kind, _ = _HEAD.unpack_from(data)
    at = _HEAD.size
    for _ in ("session", "instance"):
        if at >= len(data):
            raise Malformed("a message ends within an ID")
        at += 1 + data[at]
    if at + _REST.size > len(data):
        raise Malformed("a message ends within its head")
    _, _, length = _REST.unpack_from(data, at)
    payload = data[at + _REST.size :]
    if len(payload) != length:
        raise Malformed(f"a message says {length} bytes and has {len(payload)}")
    return Message(kind, payload)
