"""Whether a quota is used up, without counting all rows at each request.

A count is as slow as there are rows. Half of what it shows to be left may be used
before the next count, and near the quota every request counts. Where several
processes make things, which do not know of each other's counts, a count is good for
a moment only, and for a part of what is left so large that the others cannot have
used up the rest meanwhile.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable

#: Less than that left, and every request of several processes counts.
_PLENTY = 400
#: So long a count is good for where others make things too: nobody makes three quarters of ``_PLENTY`` in it.
_MOMENT_S = 0.25


class QuotaWatch:
    """Remembers, for each quota, how many more may be made before counting again.

    *is_shared* says that other processes make things too, *steady* is a clock that nobody sets.
    """

    def __init__(self, *, is_shared: bool = False, steady: Callable[[], float] = time.monotonic) -> None:
        self._left: dict[Hashable, int] = {}
        self._counted_at: dict[Hashable, float] = {}
        self._is_shared, self._steady = is_shared, steady
        self._lock = threading.Lock()

    def is_reached(self, key: Hashable, limit: int, count: Callable[[], int], wanted: int = 1) -> bool:
        """Whether making *wanted* more would exceed *limit*; *count* says how many there are."""
        with self._lock:
            left = self._left.get(key, 0)
            if left >= wanted and self._is_fresh(key):
                self._left[key] = left - wanted
                return False
        counted_at, there = self._steady(), count()
        if there + wanted > limit:
            return True
        with self._lock:
            self._counted_at[key] = counted_at
            self._left[key] = self._part_of(limit - there - wanted)
        return False

    def _is_fresh(self, key: Hashable) -> bool:
        return not self._is_shared or self._steady() < self._counted_at[key] + _MOMENT_S

    def _part_of(self, left: int) -> int:
        if not self._is_shared:
            return left // 2
        return left // 4 if left >= _PLENTY else 0
