"""Starts that a host leaves to another one, which has more room, for some looks; then whoever has room takes them.

Nobody hands starts out: a host claims what it has room for. So that not all of them come to the host that looks first,
each looks before it claims whether another one has more left, and leaves the start to that for a while. It takes no
message, and a host that does not claim it in that time has lost nothing but the turn.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from kiln.store.hosts import NOTHING, Room, Wanting

_REMEMBERED = 64  #: As often the patience as that: a start that was left so long ago has been claimed, or has waited.


class Courtesy:
    """What one host leaves to others; each start for *patience_s*, by a clock that nobody sets."""

    def __init__(self, patience_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._patience_s, self._clock = patience_s, clock
        self._elsewhere = NOTHING
        self._since: dict[str, float] = {}

    def look(self, elsewhere: Room) -> None:
        """Heed from now on that another host has so much left; nothing where there is none."""
        oldest = self._clock() - _REMEMBERED * self._patience_s
        self._elsewhere = elsewhere
        self._since = {task: since for task, since in self._since.items() if since > oldest}

    def leaves(self, start: Wanting, left: Room) -> bool:
        """Whether a start is left to others by a host that has so much left itself."""
        if not left.is_less_than(self._elsewhere):
            return False
        now = self._clock()
        return now - self._since.setdefault(start.id, now) < self._patience_s
