"""Meters: what is counted while the program runs, as plain numbers under a lock.

Who counts pays half a microsecond, and nothing is loaded for it: how the numbers
are spelled for who reads them is ``kiln.service.exposition``'s to know. What is
there is declared in ``kiln.declare.metrics``.

A meter has at most ``MOST_SERIES`` series, whatever it is told: beyond those all
is counted under ``other``, so that nobody fills the memory by odd requests.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from typing import NamedTuple

MOST_SERIES = 2000
OTHER = "other"

#: From half a millisecond on: most requests are answered in less than one.
SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metric:
    """Something that is measured: its name with its unit, what it is, and its labels with what they tell."""

    kind = "gauge"

    def __init__(self, name: str, about: str, labels: Mapping[str, str] | None = None) -> None:
        self.name = name
        self.about = about
        self.labels = dict(labels or {})


class Gauge(Metric):
    """What is looked up when it is asked for, and kept nowhere."""


class Counter(Metric):
    """How often something has happened since the start. Safe to use from any thread."""

    kind = "counter"

    def __init__(self, name: str, about: str, labels: Mapping[str, str] | None = None) -> None:
        super().__init__(name, about, labels)
        self._lock = threading.Lock()
        self._counts: dict[tuple[str, ...], float] = {}

    def add(self, *labels: str, by: float = 1) -> None:
        """Count, under these values of the labels, in their order."""
        with self._lock:
            if labels not in self._counts:
                labels = _bounded(labels, self._counts)
            self._counts[labels] = self._counts.get(labels, 0) + by

    def value(self, *labels: str) -> float:
        """What was counted under them."""
        with self._lock:
            return self._counts.get(labels, 0)

    def series(self) -> dict[tuple[str, ...], float]:
        """All that was counted, by the values of the labels."""
        with self._lock:
            return dict(self._counts)


class Spread(NamedTuple):
    """What a histogram holds of one series."""

    counts: tuple[int, ...]  #: By bucket, each alone; the last is that of all that is larger than every bucket.
    total: float  #: The sum of all values.


class Histogram(Metric):
    """How values spread over *buckets*, whose upper ends belong to them. Safe to use from any thread."""

    kind = "histogram"

    def __init__(
        self,
        name: str,
        about: str,
        labels: Mapping[str, str] | None = None,
        *,
        buckets: Sequence[float] = SECONDS,
    ) -> None:
        super().__init__(name, about, labels)
        self.buckets = tuple(buckets)
        self._lock = threading.Lock()
        self._series: dict[tuple[str, ...], list[int]] = {}
        self._totals: dict[tuple[str, ...], float] = {}

    def observe(self, value: float, *labels: str) -> None:
        """Count a value, under these values of the labels, in their order."""
        bucket = bisect_left(self.buckets, value)
        with self._lock:
            counts = self._series.get(labels)
            if counts is None:
                labels = _bounded(labels, self._series)
                counts = self._series.setdefault(labels, [0] * (len(self.buckets) + 1))
                self._totals.setdefault(labels, 0.0)
            counts[bucket] += 1
            self._totals[labels] += value

    def value(self, *labels: str) -> Spread:
        """What was counted under them."""
        return self.series().get(labels, Spread((0,) * (len(self.buckets) + 1), 0.0))

    def series(self) -> dict[tuple[str, ...], Spread]:
        """All that was counted, by the values of the labels."""
        with self._lock:
            return {labels: Spread(tuple(counts), self._totals[labels]) for labels, counts in self._series.items()}


def _bounded(labels: tuple[str, ...], known: Mapping[tuple[str, ...], object]) -> tuple[str, ...]:
    """The labels of a series that is to begin; those of all others where there are too many."""
    return labels if len(known) < MOST_SERIES else (OTHER,) * len(labels)
