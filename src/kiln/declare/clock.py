"""The one clock, and the ways in which the API spells a time.

Everything that needs the time is handed a ``Clock``; only here is it read.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], float]  #: Seconds since the epoch.

system_clock: Clock = time.time


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
    return datetime.fromtimestamp(when, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def to_minutes_text(when: float) -> str:
    """``2026-11-23T06:07Z``, as instances say it."""
    return datetime.fromtimestamp(when, UTC).strftime("%Y-%m-%dT%H:%MZ")


def from_text(text: str) -> float | None:
    """Seconds since the epoch of either spelling; None when it is neither."""
    for form in ("%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%MZ"):
        try:
            return datetime.strptime(text, form).replace(tzinfo=UTC).timestamp()
        except ValueError:
            continue
    return None
