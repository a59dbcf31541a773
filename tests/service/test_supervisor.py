"""What ``serve`` tells the supervisor that started it."""

from __future__ import annotations

import socket
import uuid

import pytest

from tests.warm import start_kiln


@pytest.mark.slow
@pytest.mark.parametrize("is_abstract", [False, True])
def test_is_told_when_it_serves_and_when_it_ends(tmp_path, monkeypatch, is_abstract):
    name = f"@kiln-{uuid.uuid4().hex}" if is_abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as supervisor:
        supervisor.bind("\0" + name[1:] if is_abstract else name)
        supervisor.settimeout(20)
        monkeypatch.setenv("NOTIFY_SOCKET", name)

        with start_kiln(tmp_path / "data") as kiln:
            ready = supervisor.recv(4096).decode()
            assert kiln.stop() == 0
        stopping = supervisor.recv(4096).decode()

    assert ready == f"READY=1\nSTATUS=listening on {kiln.endpoint}"
    assert stopping.startswith("STOPPING=1\nSTATUS=")


@pytest.mark.slow
def test_serves_also_where_nobody_listens_to_it(tmp_path, monkeypatch):
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "nobody"))

    with start_kiln(tmp_path / "data") as kiln:
        assert kiln.stop() == 0

    assert "supervisor_not_told" in kiln.log.read_text()
