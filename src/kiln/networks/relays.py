"""TCP connections that are passed on, between guests and what is beyond their VPC, within one loop."""

from __future__ import annotations

import contextlib
import selectors
import socket
import struct
from collections.abc import Callable

MOST_AT_ONCE = 512  #: By the public addresses of one VPC. Whoever comes then is turned away.
_BUFFERED = 256 * 1024
_RESET = struct.pack("ii", 1, 0)
_READ_AT_ONCE = 64 * 1024


class Relay:
    """Two connections, each of which is told what the other says. The second may still be on its way."""

    def __init__(
        self, poll: selectors.BaseSelector, came: socket.socket, gone: socket.socket, ended: Callable[[Relay], None]
    ) -> None:
        self._poll, self._ended = poll, ended
        self._ends = (came, gone)
        self._owed = {came: bytearray(), gone: bytearray()}  #: What is still to be sent to each.
        self._deaf: set[socket.socket] = set()  #: Those that have said all.
        self._told: set[socket.socket] = set()  #: Those that know that nothing more comes.
        self._is_joined = False
        for end in self._ends:
            end.setblocking(False)
        self._watch()

    def close(self) -> None:
        """End both."""
        for end in self._ends:
            with contextlib.suppress(KeyError, ValueError):
                self._poll.unregister(end)
            end.close()
        self._ended(self)

    def _other(self, end: socket.socket) -> socket.socket:
        return self._ends[0] if end is self._ends[1] else self._ends[1]

    def _watch(self) -> None:
        for end in self._ends:
            wanted = 0
            if self._is_joined and end not in self._deaf and len(self._owed[self._other(end)]) < _BUFFERED:
                wanted |= selectors.EVENT_READ
            if self._owed[end] or (not self._is_joined and end is self._ends[1]):
                wanted |= selectors.EVENT_WRITE
            self._set(end, wanted)

    def _set(self, end: socket.socket, wanted: int) -> None:
        try:
            current = self._poll.get_key(end).events
        except KeyError:
            current = 0
        if wanted == current:
            return
        if not wanted:
            self._poll.unregister(end)
        elif current:
            self._poll.modify(end, wanted, (self._ready, end))
        else:
            self._poll.register(end, wanted, (self._ready, end))

    def _ready(self, events: int, end: socket.socket) -> None:
        try:
            if not self._is_joined:
                _require_joined(end)
                self._is_joined = True
            if events & selectors.EVENT_READ:
                self._read(end)
            for one in self._ends:
                self._write(one)
        except OSError:
            for one in self._ends:  # What was cut off on one side is not to look whole on the other.
                with contextlib.suppress(OSError):
                    one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            self.close()
            return
        if len(self._told) == len(self._ends):
            self.close()
        else:
            self._watch()

    def _read(self, end: socket.socket) -> None:
        try:
            said = end.recv(_READ_AT_ONCE)
        except BlockingIOError:
            return
        if said:
            self._owed[self._other(end)] += said
        else:
            self._deaf.add(end)

    def _write(self, end: socket.socket) -> None:
        owed = self._owed[end]
        with contextlib.suppress(BlockingIOError):
            while owed:
                del owed[: end.send(owed)]
        if not owed and self._other(end) in self._deaf and end not in self._told:
            end.shutdown(socket.SHUT_WR)
            self._told.add(end)


def _require_joined(end: socket.socket) -> None:
    if failed := end.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
        raise OSError(failed, "not connected")
