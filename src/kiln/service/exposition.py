"""What is measured, spelled as Prometheus and OpenMetrics have it, by their own library.

It is loaded when somebody first asks: that takes as long as a tenth of a start, and many Kilns are never asked. Who
counts does it by ``kiln.ground.meters``, which needs no library and less time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from kiln.declare.metrics import METRICS
from kiln.ground.meters import Counter, Histogram, Metric

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric as Family

#: Of a metric that is looked up: the values of its labels, and the number.
Reading = tuple[Metric, tuple[str, ...], float]

Readings = Callable[[], Iterable[Reading]]


class Exposition:
    """Tells all that is counted, and what *readings* finds at the time. Safe to use from any thread."""

    def __init__(self, readings: Readings) -> None:
        self._readings = readings
        self._registry: Any = None

    def tell(self, accepted: str) -> tuple[str, bytes]:
        """The text for who accepts that, as HTTP's Accept has it, and its type."""
        from prometheus_client import CollectorRegistry, ProcessCollector  # noqa: PLC0415 - see the module.
        from prometheus_client.exposition import choose_encoder  # noqa: PLC0415

        if self._registry is None:
            registry = CollectorRegistry(auto_describe=False)
            registry.register(self)
            ProcessCollector(registry=registry)
            self._registry = registry
        spell, kind = choose_encoder(accepted)
        return kind, spell(self._registry)

    def collect(self) -> Iterator[Family]:
        """For the library: every metric with its series."""
        read: dict[str, list[tuple[tuple[str, ...], float]]] = {}
        for metric, labels, value in self._readings():
            read.setdefault(metric.name, []).append((labels, value))
        for metric in METRICS:
            yield _family(metric, read.get(metric.name, []))


def _family(metric: Metric, read: Iterable[tuple[tuple[str, ...], float]]) -> Family:
    from prometheus_client.core import (  # noqa: PLC0415 - see the module.
        CounterMetricFamily,
        GaugeMetricFamily,
        HistogramMetricFamily,
    )

    if isinstance(metric, Histogram):
        spread = HistogramMetricFamily(metric.name, metric.about, labels=list(metric.labels))
        ends = [*map(str, metric.buckets), "+Inf"]
        for labels, held in metric.series().items():
            spread.add_metric(labels, list(zip(ends, accumulate(held.counts), strict=True)), held.total)
        return spread
    if isinstance(metric, Counter):
        counted = CounterMetricFamily(metric.name, metric.about, labels=list(metric.labels))
        for labels, count in metric.series().items() or (() if metric.labels else [((), 0.0)]):
            counted.add_metric(labels, count)
        return counted
    gauge = GaugeMetricFamily(metric.name, metric.about, labels=list(metric.labels))
    for labels, value in read:
        gauge.add_metric(labels, value)
    return gauge
