"""What ``serve`` tells the supervisor that started it."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import time
import uuid
from pathlib import Path

import pytest

from kiln.service.http import make_server
from kiln.service.supervisor import Watchdog
from kiln.wire.http.bounds import Room
from kiln.wire.http.crowd import Crowd
from kiln.wire.paths.table import Table
from tests.waiting import wait_for
from tests.warm import start_kiln


@pytest.mark.slow
@pytest.mark.parametrize("is_abstract", [False, True])
def test_is_told_when_it_serves_and_when_it_ends(tmp_path, monkeypatch, is_abstract):
    name = f"@kiln-{uuid.uuid4().hex}" if is_abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as supervisor:
        supervisor.bind("\0" + name[1:] if is_abstract else name)
        supervisor.settimeout(300)
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


@pytest.fixture
def supervisor(tmp_path, monkeypatch):
    """The socket of one that has set a watchdog of a fifth of a second."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listens:
        listens.bind(str(tmp_path / "notify"))
        listens.settimeout(300)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        monkeypatch.setenv("WATCHDOG_USEC", "200000")
        yield listens


def drained(supervisor) -> list[bytes]:
    """What was said so far and not heard yet."""
    supervisor.setblocking(False)
    said = []
    try:
        while True:
            said.append(supervisor.recv(4096))
    except BlockingIOError:
        supervisor.settimeout(300)
    return said


@pytest.mark.slow
def test_is_told_again_and_again_that_it_is_at_work(tmp_path, supervisor):
    with start_kiln(tmp_path / "data") as kiln:
        assert supervisor.recv(4096).startswith(b"READY=1\n")
        assert [supervisor.recv(4096) for _ in range(3)] == [b"WATCHDOG=1"] * 3

        kiln.process.send_signal(signal.SIGSTOP)
        try:
            wait_for(lambda: stands_still(kiln.process.pid))
            drained(supervisor)
            supervisor.settimeout(0.5)
            with pytest.raises(TimeoutError):
                supervisor.recv(4096)
        finally:
            kiln.process.send_signal(signal.SIGCONT)
        supervisor.settimeout(300)
        assert supervisor.recv(4096) == b"WATCHDOG=1"


def stands_still(pid: int) -> bool:
    """Whether a process has come to its stop, which it does some time after it was told to."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


def test_is_told_by_the_event_loop_and_so_of_one_that_stands_still(supervisor, monkeypatch):
    """A thread of its own would go on telling."""
    monkeypatch.setenv("WATCHDOG_USEC", "4000000")
    server = make_server(Table((), None), Crowd(Room(16, 16)), ticks=Watchdog(list).look)

    async def serve():
        for tick in range(5):
            await server.on_tick(tick)
        time.sleep(2.1)  # noqa: ASYNC251 - it stands still.
        said = drained(supervisor)
        await server.on_tick(5)
        return said, drained(supervisor)

    assert asyncio.run(serve()) == ([b"WATCHDOG=1"], [b"WATCHDOG=1"])


def test_is_not_told_once_a_part_has_ended(supervisor, caplog):
    dead = []
    watchdog = Watchdog(lambda: dead)
    watchdog.look()
    assert drained(supervisor) == [b"WATCHDOG=1"]

    dead.append("worker-1")
    watchdog._told_at = float("-inf")
    watchdog.look()
    watchdog.look()

    assert drained(supervisor) == []
    assert [record.getMessage() for record in caplog.records] == ["watchdog_left_alone"]


@pytest.mark.parametrize(("name", "value"), [("WATCHDOG_USEC", ""), ("WATCHDOG_USEC", "x"), ("WATCHDOG_PID", "1")])
def test_is_not_told_where_it_waits_for_nothing_of_this_process(supervisor, monkeypatch, name, value):
    monkeypatch.setenv(name, value)

    Watchdog(list).look()

    assert drained(supervisor) == []


def test_is_told_by_the_process_that_it_waits_for(supervisor, monkeypatch):
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))

    Watchdog(list).look()

    assert drained(supervisor) == [b"WATCHDOG=1"]
