"""What a service says when it begins and when it ends, and what its log is good for."""

from __future__ import annotations

import json
import re
import socket
import time

import pytest

import kiln
from kiln.client.client import Client
from tests.warm import start_kiln

pytestmark = pytest.mark.slow


def events(served):
    lines = [json.loads(line) for line in served.log.read_text().splitlines() if line.startswith("{")]
    return {line["event"]: line for line in lines}


def client_of(served):
    return Client(served.endpoint, served.access_key_id, served.secret, served.region)


def test_logs_its_start_requests_tasks_and_its_end(tmp_path):
    with start_kiln(tmp_path / "data", log="info") as served:
        client = client_of(served)
        disk = client.call("CreateDisk", ZoneId=f"{served.region}-a", Size=20)["DiskId"]
        deadline = time.monotonic() + 300
        while "task_done" not in events(served):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        client.close()
        assert served.stop() == 0

    said = events(served)
    assert (said["started"]["version"], said["started"]["data"]) == (kiln.__version__, str(tmp_path / "data"))
    assert (said["started"]["acceleration"], said["started"]["adopted"]) == ("none", [])
    assert said["request"]["peer"] == "127.0.0.1"
    assert (said["task_done"]["action"], said["task_done"]["resource"]) == ("CreateDisk", disk)
    assert said["task_done"]["ms"] > 0
    assert said["database_migrated"]["version_before"] == "none"
    assert said["stopping"]["waits_for"] == []
    assert "stopped" in said
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", said["started"]["time"])


def test_says_which_machines_go_on_and_finds_them_again(tmp_path):
    with start_kiln(tmp_path / "data", log="info") as served:
        marker = tmp_path / "data" / "run" / "i-00000000000000000000" / "running"
        marker.parent.mkdir(parents=True)
        marker.touch()
        served.restart()
        served.stop()

    assert "machines go on, and are found at the next start: i-00000000000000000000" in served.log.read_text()
    assert events(served)["started"]["adopted"] == ["i-00000000000000000000"]


def test_counts_what_is_no_http_and_fills_no_log_with_it(tmp_path):
    with start_kiln(tmp_path / "data") as served, socket.create_connection(served.address) as peer:
        peer.sendall(b"\x15\x03\x01 nonsense\r\n\r\n")
        assert b"400" in peer.recv(4096)
        served.stop()

    assert "Invalid HTTP" not in served.log.read_text()
