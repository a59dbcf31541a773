"""What every declared metric is held to."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from kiln.declare.metrics import METRICS
from kiln.ground.meters import Counter, Gauge, Histogram

TESTS = Path(__file__).resolve().parents[1]
_NAME = re.compile(r"(kiln|http)_[a-z]+(_[a-z]+)*").fullmatch


def test_are_found_whole():
    names = [metric.name for metric in METRICS]

    assert len(names) == len(set(names)) > 20


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_have_a_name_and_words_as_prometheus_has_them(metric):
    assert _NAME(metric.name)
    assert isinstance(metric, Counter) == metric.name.endswith("_total")
    assert not isinstance(metric, Histogram) or metric.name.endswith("_seconds")
    assert isinstance(metric, Counter | Gauge | Histogram)
    assert metric.about[0].isupper() or metric.about[0].isdigit()
    assert metric.about.endswith(".")
    assert all(re.fullmatch("[a-z]+(_[a-z]+)*", name) and about for name, about in metric.labels.items())
    assert not {"le", "quantile", "job", "instance"} & set(metric.labels), "those are Prometheus's own"


def test_are_met_by_tests():
    written = "".join(path.read_text() for path in TESTS.rglob("test_*.py"))

    assert [metric.name for metric in METRICS if metric.name not in written] == []
