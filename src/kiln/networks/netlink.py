"""The kernel's netlink, as far as networks need it: attributes in, an answer for each message.

Sources: https://docs.kernel.org/userspace-api/netlink/intro.html, linux/netlink.h.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Sequence
from ipaddress import IPv4Address
from types import TracebackType
from typing import Self

ROUTE, NETFILTER = 0, 12
REQUEST, ACK, EXCL, CREATE, APPEND, DUMP = 0x1, 0x4, 0x200, 0x400, 0x800, 0x300
_INTERRUPTED = 0x10  #: What is told changed meanwhile.
_NESTED = 0x8000
_ERROR, _DONE = 2, 3
_HEADER = struct.Struct("=IHHII")
_READ_AT_ONCE = 256 * 1024
_TIMEOUT_S = 30.0
_LISTINGS = 8  #: Of which one has to be whole.


def attribute(kind: int, value: bytes) -> bytes:
    """One attribute, padded to where the next one begins."""
    return struct.pack("=HH", len(value) + 4, kind) + value + bytes(-len(value) % 4)


def nested(kind: int, *attributes: bytes) -> bytes:
    """Attributes within an attribute."""
    return attribute(kind | _NESTED, b"".join(attributes))


def text(kind: int, value: str) -> bytes:
    """An attribute that is a string."""
    return attribute(kind, value.encode() + b"\0")


def integer(kind: int, value: int) -> bytes:
    """An attribute that is a number of 32 bits, in the host's order."""
    return attribute(kind, struct.pack("=I", value))


def ipv4(kind: int, address: IPv4Address) -> bytes:
    """An attribute that is an address."""
    return attribute(kind, address.packed)


class Message:
    """One request: its type, its flags beside REQUEST, the fixed part and the attributes."""

    def __init__(self, kind: int, flags: int, *parts: bytes) -> None:
        self.kind, self.flags, self.body = kind, flags | REQUEST, b"".join(parts)

    def packed(self, sequence: int) -> bytes:
        """As it is sent."""
        length = _HEADER.size + len(self.body)
        return _HEADER.pack(length, self.kind, self.flags, sequence, 0) + self.body + bytes(-length % 4)


class Netlink:
    """A socket to one of the kernel's families, in the network namespace of the thread that made it."""

    def __init__(self, family: int) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, family)
        self._socket.settimeout(_TIMEOUT_S)
        self._sequence = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ask no more."""
        self._socket.close()

    def ask(self, *messages: Message) -> None:
        """Send the messages together and await the answer to each that has ACK. Raises the first OSError among them."""
        first = self._sequence + 1
        packed = [message.packed(first + n) for n, message in enumerate(messages)]
        self._sequence += len(messages)
        awaited = {first + n for n, message in enumerate(messages) if message.flags & ACK}
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2 * sum(map(len, packed)))
        self._socket.send(b"".join(packed))
        failed = self._answers(awaited, range(first, self._sequence + 1))
        if failed:
            raise OSError(failed, f"{os.strerror(failed)} ({errno.errorcode.get(failed, failed)} from netlink)")

    def ask_for_one(self, message: Message) -> bytes:
        """Send a message that is answered by one: that answer, with its header. Raises the OSError that it is."""
        self._sequence += 1
        self._socket.send(message.packed(self._sequence))
        while True:
            said = self._socket.recv(_READ_AT_ONCE)
            _, kind, _, sequence, _ = _HEADER.unpack_from(said)
            if sequence != self._sequence:
                continue
            if kind == _ERROR:
                failed = -struct.unpack_from("=i", said, _HEADER.size)[0]
                raise OSError(failed, os.strerror(failed))
            return said

    def ask_for_all(self, message: Message) -> list[bytes]:
        """Send a message that is answered by a list: its members, each with its header.

        Raises the OSError that it is, and one where the list has changed meanwhile, time and again.
        """
        for _ in range(_LISTINGS):
            found, is_whole = self._list(message)
            if is_whole:
                return found
        raise OSError(errno.EAGAIN, "what netlink lists changes without end")

    def _list(self, message: Message) -> tuple[list[bytes], bool]:
        self._sequence += 1
        self._socket.send(Message(message.kind, message.flags | DUMP, message.body).packed(self._sequence))
        found: list[bytes] = []
        is_whole = True
        while True:
            said = self._socket.recv(_READ_AT_ONCE)
            while len(said) >= _HEADER.size:
                length, kind, flags, sequence, _ = _HEADER.unpack_from(said)
                if sequence == self._sequence:
                    is_whole = is_whole and not flags & _INTERRUPTED
                    if kind == _DONE:
                        return found, is_whole
                    if kind == _ERROR:
                        failed = -struct.unpack_from("=i", said, _HEADER.size)[0]
                        raise OSError(failed, os.strerror(failed))
                    found.append(said[:length])
                said = said[max(length + -length % 4, _HEADER.size) :]

    def _answers(self, awaited: set[int], ours: Sequence[int]) -> int:
        """The first error of those that are answered, or 0; a message without ACK is answered only when it fails."""
        failed = 0
        while awaited:
            said = self._socket.recv(_READ_AT_ONCE)
            while len(said) >= _HEADER.size:
                length, kind, _, sequence, _ = _HEADER.unpack_from(said)
                if kind == _ERROR and sequence in ours:
                    failed = failed or -struct.unpack_from("=i", said, _HEADER.size)[0]
                    awaited.discard(sequence)
                    if failed and sequence not in awaited and not awaited:
                        break
                said = said[max(length + -length % 4, _HEADER.size) :]
        return failed
