"""What a keeper and the egress of its VPC say to each other: short messages, in order, beside some a descriptor.

A message is its word, the number of the conversation that it is about, and what
there is to say. Descriptors go outwards alone: a keeper is given nothing of the host's.
"""

from __future__ import annotations

import collections
import contextlib
import os
import selectors
import socket
import struct
from collections.abc import Callable

from kiln.networks.polling import Poll

#: A keeper's words: a connection is begun (with address and port), its guest's end comes along, a conversation has
#: ended, a datagram or an echo is sent (with address and port).
BEGIN, TAKE, DROP, SEND, PING = 1, 2, 3, 4, 5
#: An egress's: somebody has taken the connection, or refused it, or cannot be spoken to; a conversation has ended; an
#: answer.
JOINED, REFUSED, FORBIDDEN, ENDED, ANSWER = 11, 12, 13, 14, 15
WHOM = struct.Struct("!4sH")  #: Address and port, in front of what is sent there.
LONGEST = 65536 + 64
_HEAD = struct.Struct("=BxxxxxxxQ")
_TURN = 64  #: Messages, before others of the loop are heard.
_BUFFER_BYTES = 1 << 20


def pair() -> tuple[socket.socket, socket.socket]:
    """The two ends of a line."""
    ends = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    for end in ends:
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER_BYTES)
    return ends


class Line:
    """One end. *hear* is told a word, a number, what is said, a descriptor or None; *lost* that the other is gone."""

    def __init__(
        self,
        poll: Poll,
        end: socket.socket,
        hear: Callable[[int, int, bytes, int | None], None],
        lost: Callable[[Line], None],
    ) -> None:
        self._poll, self._end, self._hear, self._lost = poll, end, hear, lost
        self._owed: collections.deque[tuple[bytes, int | None]] = collections.deque()
        end.setblocking(False)
        poll.register(end, selectors.EVENT_READ, (self._ready, end))

    def say(self, word: int, number: int, said: bytes = b"", descriptor: int | None = None) -> None:
        """Say it, or keep it until there is room. The descriptor is closed when it is said."""
        self._owed.append((_HEAD.pack(word, number) + said, descriptor))
        self._flush()

    def offer(self, word: int, number: int, said: bytes) -> None:
        """Say it if there is room, as for what may be lost on its way."""
        if not self._owed:
            with contextlib.suppress(OSError):
                self._end.send(_HEAD.pack(word, number) + said)

    def close(self) -> None:
        """End it; the other hears of that."""
        if self._end.fileno() < 0:
            return
        self._poll.unregister(self._end)
        self._end.close()
        for _, descriptor in self._owed:
            if descriptor is not None:
                os.close(descriptor)
        self._owed.clear()

    def _flush(self) -> None:
        try:
            while self._owed:
                message, descriptor = self._owed[0]
                socket.send_fds(self._end, [message], [] if descriptor is None else [descriptor])
                self._owed.popleft()
                if descriptor is not None:
                    os.close(descriptor)
        except BlockingIOError:
            pass
        except OSError:
            return  # The other is gone, which is heard in its turn.
        wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if self._owed else 0)
        if self._poll.get_key(self._end).events != wanted:
            self._poll.modify(self._end, wanted, (self._ready, self._end))

    def _ready(self, events: int, end: socket.socket) -> None:
        if events & selectors.EVENT_WRITE:
            self._flush()
        for _ in range(_TURN):
            if end.fileno() < 0:
                return
            try:
                message, descriptors, _, _ = socket.recv_fds(end, LONGEST, 1, socket.MSG_CMSG_CLOEXEC)
            except BlockingIOError:
                return
            except OSError:
                message, descriptors = b"", []
            if len(message) < _HEAD.size:
                self.close()
                self._lost(self)
                return
            word, number = _HEAD.unpack_from(message)
            self._hear(word, number, message[_HEAD.size :], descriptors[0] if descriptors else None)
