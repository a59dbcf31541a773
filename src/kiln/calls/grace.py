"""How long what was deleted can be had back, and how much of that has passed while this process served."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

_COUNTED_EVERY_S = 60.0  #: A crash loses less than that, and things then wait so much longer.


class Grace:
    """The setting, and a watch that no change of the time of day moves. Safe to use from any thread."""

    def __init__(self, seconds: float = 0.0, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.seconds = seconds  #: 0: nothing is kept.
        self.giving_back = threading.Lock()  #: Held by whoever removes volumes for good.
        self._monotonic = monotonic
        self._since = monotonic()
        self._lock = threading.Lock()

    def passed(self) -> float:
        """Seconds since this answered more than 0 or was restarted; 0 while it is too little to be counted."""
        with self._lock:
            now = self._monotonic()
            if now - self._since < min(_COUNTED_EVERY_S, self.seconds / 10):
                return 0.0
            passed, self._since = now - self._since, now
            return passed

    def restart(self) -> None:
        """Leave out what has passed since then: nothing waited in it."""
        with self._lock:
            self._since = self._monotonic()
