"""What the loops of a VPC's processes wait for."""

from __future__ import annotations

import selectors
import socket


class Poll(selectors.EpollSelector):
    """Sockets, and with each who is to be told of what happens to it, and about what: ``(told, about)``."""

    def turn(self, timeout_s: float) -> None:
        """Tell everybody to whom something has happened, once."""
        for key, events in self.select(timeout_s):
            # Somebody before it in this turn may have closed it.
            assert isinstance(key.fileobj, socket.socket)
            if key.fileobj.fileno() >= 0 and self.get_map().get(key.fileobj) is key:
                told, about = key.data
                told(events, about)
