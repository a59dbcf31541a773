"""The dashboard and the alerts speak of what there is, and say what they should."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kiln.declare.metrics import METRICS
from kiln.ground.meters import Histogram
from tests.service.measured import scrape
from tests.stock import an_instance
from tests.tools import wants

HERE = Path(__file__).resolve().parent
DEPLOY = HERE.parents[1] / "deploy"
RULES = DEPLOY / "prometheus" / "kiln.rules.yml"
DASHBOARD = DEPLOY / "grafana" / "kiln.json"

#: Of Prometheus itself, and what its client tells of every process.
OTHERS = {
    "up": {"job"},
    "process_cpu_seconds_total": {"job"},
    "process_resident_memory_bytes": {"job"},
    "process_open_fds": {"job"},
    "kiln:captures_quiesced:ratio1d": set(),
}

_NAMED = re.compile(r"\b((?:kiln|http_server|process)[_:][a-z0-9_:]+|up)\b(?:\{([^}]*)\})?")
_MATCHED = re.compile(r'([a-z_]+)\s*(?:=~|!~|!=|=)\s*"')


def known() -> dict[str, set[str]]:
    """The labels of every series that there may be."""
    found = {name: set(labels) for name, labels in OTHERS.items()}
    for metric in METRICS:
        ends = ("_bucket", "_sum", "_count") if isinstance(metric, Histogram) else ("",)
        found |= {f"{metric.name}{end}": set(metric.labels) for end in ends}
    return found


def expressions() -> Iterator[str]:
    """All of the dashboard, and all that stands in the rules but the words for people."""
    yield from of_panels(json.loads(DASHBOARD.read_text()))
    yield from re.findall(r"^ +expr: (?:\|\n)?((?:.*\n)+?)(?= +[a-z]+:|\n)", RULES.read_text(), re.MULTILINE)


def of_panels(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        yield from (value for name, value in part.items() if name == "expr")
        part = list(part.values())
    if isinstance(part, list):
        for one in part:
            yield from of_panels(one)


def test_name_only_what_is_declared():
    series, unknown = known(), []
    read = list(expressions())
    assert len(read) > 50
    for expression in read:
        for name, matchers in _NAMED.findall(expression):
            labels = set(_MATCHED.findall(matchers)) - {"instance"}
            if name not in series or not labels <= series[name]:
                unknown.append((name, labels))

    assert unknown == []


def test_the_dashboard_shows_every_metric():
    shown = {name for part in of_panels(json.loads(DASHBOARD.read_text())) for name, _ in _NAMED.findall(part)}
    ends = ("", "_bucket", "_sum", "_count")

    assert [one.name for one in METRICS if not shown & {one.name + end for end in ends}] == []


def test_each_alert_says_what_to_do_and_is_tried():
    rules, tried = RULES.read_text(), (HERE / "kiln.rules.test.yml").read_text()
    alerts = re.findall(r"- alert: (\w+)\n((?: {8}.*\n)+)", rules)

    assert len(alerts) == rules.count("- alert:") > 10
    for name, body in alerts:
        assert re.search(r"severity: (warning|critical)\b", body), name
        assert "summary:" in body, name
        assert "description:" in body, name
        assert f'alertname="{name}"' in tried, name


@pytest.mark.parametrize(
    "words", [("check", "rules", str(RULES)), ("test", "rules", str(HERE / "kiln.rules.test.yml"))]
)
def test_promtool_finds_nothing_wrong(words):
    wants("promtool")

    done = subprocess.run(["promtool", *words], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr


def test_promtool_finds_nothing_wrong_with_what_is_told(cloud):
    wants("promtool")
    cloud.call("CreateImage", InstanceId=an_instance(cloud).id)
    cloud.settle()
    kind, text = scrape(cloud)

    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, check=False)

    assert kind.startswith("text/plain")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
