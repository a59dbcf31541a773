"""How often somebody may try an AccessKey in vain: a few times in a minute, each at each key.

What is counted is a pair, of who asks and the key that is named. So whoever
guesses at a key holds up nobody who knows its secret and comes from elsewhere,
and nobody's other key.
"""

from __future__ import annotations

import math
import threading
from collections import Counter
from dataclasses import field
from typing import Protocol

from kiln.ground.clock import Clock
from kiln.ground.values import dataclass

MOST = 5  #: Wrong tries of one peer at one key, in so many seconds:
WINDOW_S = 60.0
MOST_PAIRS = 4096  #: That are remembered; of more, one of the peer who has most is forgotten.


class TooMany(Exception):
    """It is to be tried again in ``wait_s`` seconds."""

    def __init__(self, wait_s: int) -> None:
        super().__init__(f"Too many wrong tries with this AccessKey. Try again in {wait_s} seconds.")
        self.wait_s = wait_s


class Attempts(Protocol):
    """See the module. Used from any thread."""

    def take(self, peer: str, key_id: str) -> None:
        """Count a try before it is made, so that many at once are no more than one after the other. Raises TooMany."""

    def give_back(self, peer: str, key_id: str) -> None:
        """That a try was none of a wrong key."""

    def forget(self, peer: str, key_id: str) -> None:
        """That the key was right."""


@dataclass
class _Tries:
    count: int
    until: float  #: When they are forgotten.


@dataclass
class MemoryAttempts:
    """Those at the doors of one process."""

    clock: Clock
    _tries: dict[tuple[str, str], _Tries] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, peer: str, key_id: str) -> None:
        now, pair = self.clock(), (peer, key_id)
        with self._lock:
            tries = self._tries.get(pair)
            if tries is None or tries.until <= now:
                self._make_room(now)
                tries = self._tries[pair] = _Tries(0, now + WINDOW_S)
            if tries.count >= MOST:
                raise TooMany(max(1, math.ceil(tries.until - now)))
            tries.count += 1

    def give_back(self, peer: str, key_id: str) -> None:
        with self._lock:
            tries = self._tries.get((peer, key_id))
            if tries is not None:
                tries.count = max(0, tries.count - 1)

    def forget(self, peer: str, key_id: str) -> None:
        with self._lock:
            self._tries.pop((peer, key_id), None)

    def _make_room(self, now: float) -> None:
        if len(self._tries) < MOST_PAIRS:
            return
        self._tries = {pair: one for pair, one in self._tries.items() if one.until > now}
        if len(self._tries) >= MOST_PAIRS:
            loudest, _ = Counter(peer for peer, _ in self._tries).most_common(1)[0]
            del self._tries[next(pair for pair in self._tries if pair[0] == loudest)]
