"""The one clock, and the ways in which the API spells a time.

Everything that needs the time is handed a ``Clock``; only here is it read.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache

Clock = Callable[[], float]  #: Seconds since the epoch.

system_clock: Clock = time.time

_CHINA = timezone(timedelta(hours=8))

#: What a clock that is only corrected never does between two looks.
_STEP_S = 1.0


def go_on_after(number: int) -> None:
    """Have the sequence go on after *number*, which an earlier process gave: the clock may have been set back since."""
    global _last  # noqa: PLW0603 - a sequence is one thing by nature.
    with _sequence:
        _last = max(_last, number)


class StepWatch:
    """Notices when a clock was set: it has then gone on by more, or less, than the time that has really passed."""

    def __init__(self, clock: Clock, steady: Clock = time.monotonic) -> None:
        self._clock = clock
        self._steady = steady
        self._ahead = clock() - steady()

    def has_stepped(self) -> bool:
        """Whether it was set by more than a second since the last look."""
        return self.step() != 0.0

    def step(self) -> float:
        """By how many seconds it was set forward since the last look, or back (less than 0); 0 for a second or less."""
        ahead = self._clock() - self._steady()
        by = ahead - self._ahead
        self._ahead = ahead
        return by if abs(by) > _STEP_S else 0.0


def next_in_sequence() -> int:
    """A number greater than every one before it in this process, and near the nanoseconds since the epoch."""
    global _last  # noqa: PLW0603 - a sequence is one thing by nature.
    with _sequence:
        _last = max(_last + 1, time.time_ns())
        return _last


_sequence = threading.Lock()
_last = 0


def to_seconds_text(when: float) -> str:
    """``2026-11-23T06:07:05Z``, as images and snapshots say it."""
    minute, second = divmod(_whole(when), 60)
    return f"{_minute(minute)}:{second:02}Z"


def to_milliseconds_text(when: float) -> str:
    """``2026-11-23T06:07:05.123Z``, as the log says it."""
    return datetime.fromtimestamp(when, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def to_minutes_text(when: float) -> str:
    """``2026-11-23T06:07Z``, as instances say it."""
    return _minute(_whole(when) // 60) + "Z"


def to_date_text(when: float) -> str:
    """``20261123``, as the names of automatic snapshots say it: the day in UTC+8, in which their hours are told."""
    return datetime.fromtimestamp(when, _CHINA).strftime("%Y%m%d")


def _whole(when: float) -> int:
    """The second that *when* lies in, by the microsecond."""
    return int(round(when, 6) // 1)


@lru_cache(maxsize=1024)  # A list has many times of one minute, and datetime takes as long to spell one as all else.
def _minute(number: int) -> str:
    """``2026-11-23T06:07``: the minute of that number since the epoch."""
    return datetime.fromtimestamp(number * 60, UTC).strftime("%Y-%m-%dT%H:%M")


_SPELLED = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2})(?:(:[0-9]{2})(\.[0-9]{1,9})?)?Z")


def span_of(text: str) -> tuple[float, float] | None:
    """The time that a spelling stands for, from its first moment to the first after it; None when it is none.

    ``2026-11-23T06:07Z`` is a minute, ``2026-11-23T06:07:05Z`` a second, and one
    with a fraction of a second no more than that moment.
    """
    match = _SPELLED.fullmatch(text)
    if match is None:
        return None
    minute, second, fraction = match.groups()
    try:
        start = datetime.fromisoformat(f"{minute}{second or ':00'}+00:00").timestamp() + float(fraction or 0)
    except ValueError:
        return None
    return start, start + (60 if second is None else 1 if fraction is None else 10.0 ** (1 - len(fraction)))


def from_text(text: str) -> float | None:
    """Seconds since the epoch at which the time that *text* spells begins; None when it is none."""
    span = span_of(text)
    return None if span is None else span[0]
