"""A served Kiln, as whoever watches it sees it: what is counted of requests, and what the log says of them."""

from __future__ import annotations

import json
import urllib.error
import urllib.request

import pytest

from tests.acceptance.wire import connect, encode, signed
from tests.service.measured import Measured, read
from tests.warm import start_kiln

COUNT = "http_server_request_duration_seconds_count"
SECRETS = {
    "Password": "Hunter-2-hunter-2",
    "UserData": "IyEvYmluL3NoCmVjaG8gc2VjcmV0IHVzZXIgZGF0YQ==",
}


@pytest.fixture(scope="module")
def watched(tmp_path_factory):
    """A Kiln that was asked for some things: what it measured, the lines of its log, and its secrets."""
    with start_kiln(tmp_path_factory.mktemp("watched") / "data", log="debug", log_format="json") as kiln:
        with connect(kiln) as connection:
            for action, params in (
                ("DescribeImages", {}),
                ("DescribeImages", {}),
                ("MakeMeASandwich", {}),
                ("CreateDisk", {"Size": "20", "DiskCategory": "cloud_efficiency", "ZoneId": "nowhere"}),
                ("RunInstances", {"ImageId": "m-none", **SECRETS}),
            ):
                connection.request(f"GET /?{encode(signed(kiln, 'GET', {'Action': action, **params}))}", {})
            wrong = signed(kiln, "GET", {"Action": "DescribeImages"}) | {"Signature": "x"}
            connection.request(f"GET /?{encode(wrong)}", {})
        with urllib.request.urlopen(f"{kiln.endpoint}/metrics", timeout=300) as answer:
            kind, text = answer.headers["content-type"], answer.read().decode()
        as_open_metrics = urllib.request.Request(
            f"{kiln.endpoint}/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"}
        )
        with urllib.request.urlopen(as_open_metrics, timeout=300) as answer:
            assert answer.headers["content-type"].startswith("application/openmetrics-text")
            assert answer.read().endswith(b"# EOF\n")
        assert kind.startswith("text/plain")
        proxied = urllib.request.Request(f"{kiln.endpoint}/metrics", headers={"X-Forwarded-For": "192.0.2.1"})
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(proxied, timeout=300)
        assert kiln.stop() == 0
        lines = [json.loads(line) for line in kiln.log.read_text().splitlines() if line.startswith("{")]
        yield read(text), lines, {kiln.secret, *SECRETS.values()}


def of(found: Measured, action: str, status: str) -> float | None:
    return found(COUNT, action=action, door="rpc", http_response_status_code=status)


def test_counts_requests_by_action_door_and_status(watched):
    found, _, _ = watched

    assert of(found, "DescribeImages", "200") == 2
    assert {labels["door"] for labels in found.labels(COUNT)} == {"rpc"}
    assert found("kiln_http_connections") >= 1
    assert found("kiln_log_events_total", level="error") is None


def test_makes_no_label_of_what_a_client_says(watched):
    found, _, _ = watched

    assert of(found, "unknown", "404") == 1
    assert of(found, "none", "400") == 1, "refused by its signature, before the action meant anything"
    assert "Sandwich" not in str(found.samples)


def test_logs_each_start_and_stop_and_request_with_what_it_was_about(watched):
    _, lines, _ = watched

    events = [line["event"] for line in lines]
    assert [events.count(name) for name in ("started", "stopping", "stopped")] == [1, 1, 1]
    requests = [line for line in lines if line["event"] == "request" and line["action"] == "DescribeImages"]
    assert all(line["request_id"] and line["account"] and line["status"] for line in requests if line["code"] == "")
    assert {line["level"] for line in lines} <= {"debug", "info", "warning"}


def test_logs_no_secret(watched):
    _, lines, secrets = watched

    assert not [line for line in lines if any(secret in json.dumps(line) for secret in secrets)]
