"""What is deleted by the time of day waits until that time can be believed.

A clock that was set forward by a month makes everything due that month's end
would have. It is one witness; the other is that the time goes on as it says while
Kiln serves. After a start, where nobody knows how the clock came to its time, that
takes ten minutes. After a step forward it takes as long as the step, so that
nothing goes early, and at most an hour: by then whoever set the clock wrongly has
seen it, and what goes is in the trash.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from kiln.calls.call import Ports
from kiln.ground.clock import Clock, StepWatch
from kiln.ground.journal import Journal

_AFTER_A_START_S = 600.0
_LONGEST_S = 3600.0

log = Journal("kiln.upkeep")


class Unhurried:
    """A chore that does *do* only while the time of day can be believed; *steady* is a clock that nobody sets."""

    def __init__(self, name: str, do: Callable[[Ports], object], steady: Clock = time.monotonic) -> None:
        self._name = name
        self.do = do  #: Without the wait, for whoever sets the clock on purpose.
        self._steady = steady
        self._ports: Ports | None = None
        self._watch: StepWatch | None = None
        self._from = 0.0  # The steady time from which on it is done.

    def __call__(self, ports: Ports) -> object:
        """Look whether the clock was set, and do it, or wait."""
        if self._watch is None or self._ports is not ports:
            self._ports, self._watch = ports, StepWatch(ports.clock, self._steady)
            self._from = self._steady() + _AFTER_A_START_S
        ahead = self._watch.step()
        if ahead > 0:
            wait = min(ahead, _LONGEST_S)
            self._from = max(self._from, self._steady() + wait)
            log.warning("clock_set_forward", chore=self._name, by_seconds=round(ahead), waits_seconds=round(wait))
        return self.do(ports) if self._steady() >= self._from else None
