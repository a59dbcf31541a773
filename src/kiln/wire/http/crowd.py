"""All connections at once: how many there are, of whom, and which has to go when there is no room for another.

Whoever keeps a connection without asking anything loses it to somebody who may
ask: a new connection takes the place of the one that has been silent longest,
first of its own peer, then of the peer that has most. So neither silent
connections nor half requests keep a client out, and only when all are being
answered is a new one refused.
"""

from __future__ import annotations

from collections import Counter
from typing import Protocol

from kiln.declare.metrics import REFUSED
from kiln.ground.journal import Journal
from kiln.wire.http.bounds import Room

log = Journal("kiln.http")

#: How often refusals are told in the log, when there were some.
_TELL_EVERY_S = 60.0


class Connection(Protocol):
    """What the crowd asks of a connection."""

    def give_way(self) -> None:
        """End at once, and say nothing."""

    def check_time(self, now: float) -> None:
        """End if something has taken too long."""


class Crowd:
    """The connections of one server. Used on the event loop's thread; ``counts`` may be read from any."""

    def __init__(self, room: Room) -> None:
        self.room = room
        #: By peer, those that wait for a request; the one that has waited longest is the first.
        self._waiting: dict[str, dict[Connection, None]] = {}
        self._of_peer: Counter[str] = Counter()
        self._peers: dict[Connection, str] = {}
        self._refused: Counter[str] = Counter()
        self._told: dict[str, int] = {}
        self._told_at = 0.0

    @property
    def counts(self) -> dict[str, int]:
        """How many connections there are, and why how many were refused since the start."""
        return {"connections": len(self._peers), **dict(sorted(self._refused.items()))}

    def count(self, reason: str) -> None:
        """Remember a refusal."""
        self._refused[reason] += 1
        REFUSED.add(reason)

    def come(self, connection: Connection, peer: str) -> int:
        """Take *connection* in, in another's place if need be. The status to refuse it with, or 0."""
        if self._of_peer[peer] >= self.room.of_peer and not self._make_way(peer):
            self.count("too_many_of_peer")
            return 429
        if len(self._peers) >= self.room.in_all:
            loudest = max(self._waiting, key=self._of_peer.__getitem__, default=peer)
            if not self._make_way(loudest):
                self.count("too_many")
                return 503
        self._peers[connection] = peer
        self._of_peer[peer] += 1
        self.wait(connection)
        return 0

    def wait(self, connection: Connection) -> None:
        """*connection* waits for a request from now on."""
        peer = self._peers.get(connection)
        if peer is not None:
            waiting = self._waiting.setdefault(peer, {})
            waiting.pop(connection, None)
            waiting[connection] = None

    def ask(self, connection: Connection) -> None:
        """*connection* has sent a whole request, and has to be answered."""
        self._forget(connection, self._peers.get(connection, ""))

    def leave(self, connection: Connection) -> None:
        """*connection* is no more."""
        peer = self._peers.pop(connection, None)
        if peer is not None:
            self._forget(connection, peer)
            self._of_peer[peer] -= 1
            if not self._of_peer[peer]:
                del self._of_peer[peer]

    def check_times(self, now: float) -> None:
        """Have every connection look at the clock; called about once a second."""
        for connection in list(self._peers):
            connection.check_time(now)
        if now - self._told_at >= _TELL_EVERY_S and self._refused != self._told:
            log.warning("http_refused", **{name: n - self._told.get(name, 0) for name, n in self._refused.items()})
            self._told, self._told_at = dict(self._refused), now

    def _make_way(self, peer: str) -> bool:
        """Send away the connection of *peer* that has waited longest."""
        for connection in self._waiting.get(peer, {}):
            self.count("gave_way")
            self.leave(connection)
            connection.give_way()
            return True
        return False

    def _forget(self, connection: Connection, peer: str) -> None:
        waiting = self._waiting.get(peer)
        if waiting is not None:
            waiting.pop(connection, None)
            if not waiting:
                del self._waiting[peer]
