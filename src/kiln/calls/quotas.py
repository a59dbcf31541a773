"""Whether a quota is used up, without counting all rows at each request.

A count is as slow as there are rows. Half of what it shows to be left may be
used before the next count, so that several processes which do not know of each
other stay within the quota, and near it every request counts.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable


class QuotaWatch:
    """Remembers, for each quota, how many more may be made before counting again."""

    def __init__(self) -> None:
        self._left: dict[Hashable, int] = {}
        self._lock = threading.Lock()

    def is_reached(self, key: Hashable, limit: int, count: Callable[[], int], wanted: int = 1) -> bool:
        """Whether making *wanted* more would exceed *limit*; *count* says how many there are."""
        with self._lock:
            left = self._left.get(key, 0)
            if left >= wanted:
                self._left[key] = left - wanted
                return False
        there = count()
        if there + wanted > limit:
            return True
        with self._lock:
            self._left[key] = (limit - there - wanted) // 2
        return False
