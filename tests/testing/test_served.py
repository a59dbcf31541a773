"""A Kiln as a process, beside others and through its ends."""

from __future__ import annotations

import signal

import pytest

from kiln.client.client import Client
from kiln.testing import DidNotStart, DidNotStop, start_kiln
from tests.tools import needs

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def tools():
    needs("qemu-img")


def answers(served) -> bool:
    """Whether a client with its keys is answered."""
    client = Client(served.endpoint, served.access_key_id, served.secret, served.region)
    try:
        return client.call("DescribeImages")["TotalCount"] == 0
    finally:
        client.close()


def test_two_do_not_meet(tmp_path):
    with start_kiln(tmp_path / "one") as one, start_kiln(tmp_path / "other") as other:
        assert one.address != other.address
        assert answers(one)
        assert answers(other)


def test_is_where_it_was_after_a_restart(tmp_path):
    with start_kiln(tmp_path / "data") as served:
        before = served.endpoint

        served.restart()

        assert served.endpoint == before
        assert answers(served)


def test_has_ended_when_the_block_has(tmp_path):
    with start_kiln(tmp_path / "data") as served:
        process = served.process

    assert process.returncode is not None


def test_has_ended_when_the_block_was_left_by_an_error(tmp_path):
    def fails() -> None:
        with start_kiln(tmp_path / "data") as served:
            processes.append(served.process)
            raise KeyError

    processes = []

    with pytest.raises(KeyError):
        fails()

    (process,) = processes
    assert process.returncode is not None


def test_says_why_it_did_not_start(tmp_path):
    with pytest.raises(DidNotStart, match="machines must be one of qemu, none"), start_kiln(tmp_path, machines="some"):
        pass


def test_is_killed_when_it_does_not_stop_in_time(tmp_path, monkeypatch):
    monkeypatch.setattr("kiln.testing.served._STOPS_WITHIN_S", 0.01)

    with start_kiln(tmp_path / "data") as served:
        assert answers(served)  # By now it heeds signals in its own way.
        # A process that is stopped hears of SIGTERM when it goes on.
        served.process.send_signal(signal.SIGSTOP)
        with pytest.raises(DidNotStop, match=r"data\.log"):
            served.stop()

    assert served.process.returncode == -signal.SIGKILL
