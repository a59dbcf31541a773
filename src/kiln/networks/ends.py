"""The way to a guest's card, whose socket comes and goes as its machine does."""

from __future__ import annotations

import selectors
import socket
from collections.abc import Callable

from kiln.networks.polling import Poll


class End:
    """Sends frames to the socket at *path*, which is looked for anew when it has gone. What finds nobody is lost.

    A queue that is full is waited for: *full* is told of it, and *free* when the frame that found no room has gone.
    Source: unix(7), where a socket that is joined to another can be waited for.
    """

    def __init__(self, poll: Poll, path: str, full: Callable[[], object], free: Callable[[], object]) -> None:
        self._poll, self._path, self._full, self._free = poll, path, full, free
        # The keeper's own end stays open to whoever comes: what is joined hears of nobody else.
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._is_joined = False
        self._kept: bytes | None = None

    def send(self, frame: bytes) -> bool:
        """Send a frame, or keep it until there is room; whether there is for another. One is kept at a time."""
        if self._is_sent(frame):
            return True
        self._kept = frame
        self._poll.register(self._socket, selectors.EVENT_WRITE, (self._writable, self._socket))
        self._full()
        return False

    def offer(self, frame: bytes) -> None:
        """Send a frame, or lose it."""
        self._is_sent(frame)

    def close(self) -> None:
        """Send no more."""
        if self._kept is not None:
            self._poll.unregister(self._socket)
            self._kept = None
        self._socket.close()

    def _writable(self, _: int, __: socket.socket) -> None:
        assert self._kept is not None
        if self._is_sent(self._kept):
            self._kept = None
            self._poll.unregister(self._socket)
            self._free()

    def _is_sent(self, frame: bytes) -> bool:
        """Whether nothing is left to do for the frame."""
        for _ in range(2):
            try:
                if not self._is_joined:
                    self._socket.connect(self._path)
                    self._is_joined = True
                self._socket.send(frame)
            except BlockingIOError:
                return False
            except OSError:
                # The one that it was joined to is gone, and another may be there already.
                if not self._is_joined:
                    return True
                self._is_joined = False
            else:
                return True
        return True
