"""Turns: so many may be at something at once, and whoever takes too long keeps nobody else from it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager


class Turns:
    """*count* turns. One that has lasted for *longest_s* is given to the next, while its holder goes on."""

    def __init__(self, count: int, longest_s: float) -> None:
        self._count = count
        self._longest_s = longest_s
        self._ends: dict[object, float] = {}  #: Of each turn that is held, when it counts no more.
        self._changed = threading.Condition()

    @contextmanager
    def one(self) -> Iterator[None]:
        """Wait for a turn, which is over at the end of the block at the latest."""
        turn = object()
        with self._changed:
            while (pause := self._pause()) > 0:
                self._changed.wait(pause)
            self._ends[turn] = time.monotonic() + self._longest_s
        try:
            yield
        finally:
            with self._changed:
                self._ends.pop(turn, None)
                self._changed.notify()

    def _pause(self) -> float:
        """Seconds until a turn is free at the latest."""
        now = time.monotonic()
        self._ends = {turn: end for turn, end in self._ends.items() if end > now}
        return 0.0 if len(self._ends) < self._count else min(self._ends.values()) - now
