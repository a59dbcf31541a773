"""Commands and files within the small guest, by the agent that runs there: one boot for all."""

from __future__ import annotations

import time

import pytest

from kiln.machines.port import Begun, Run, SentFile

pytestmark = [pytest.mark.vm, pytest.mark.usefixtures("patient")]
_LIMIT_S = 300.0


@pytest.fixture(scope="module")
def guest(booted):
    """The inside of the guest, once its agent answers."""
    inside = booted.machines.inside(booted.instance)
    deadline = time.monotonic() + _LIMIT_S
    while not inside.is_there():
        assert time.monotonic() < deadline, "no agent listens in the guest"
        time.sleep(0.1)
    return inside


def begun(guest, name, script, **more):
    assert guest.begin(Run(name=name, script=script.encode(), **({"timeout_s": 200} | more))) is Begun.WELL
    deadline = time.monotonic() + _LIMIT_S
    while not (progress := guest.look(name)).why:
        assert time.monotonic() < deadline, f"it runs on: {progress}"
        time.sleep(0.1)
    return progress


def test_runs_a_command(guest):
    progress = begun(guest, "t-1", "echo out; echo err >&2; uname -s; exit 7")

    assert (progress.why, progress.exit_code, progress.output) == ("ended", 7, b"out\nerr\nLinux\n")


def test_ends_one_whose_time_is_up(guest):
    assert begun(guest, "t-2", "echo begun; sleep 3000", timeout_s=2).why == "timeout"


def test_stops_one(guest):
    guest.begin(Run(name="t-3", script=b"sleep 3000", timeout_s=3000))
    guest.stop("t-3")

    assert begun(guest, "t-3", "sleep 3000").why == "stopped"


def test_keeps_the_beginning_and_the_end_of_what_is_printed(guest):
    progress = begun(guest, "t-4", "head -c 100000 /dev/zero; echo end")

    assert (progress.printed, len(progress.output)) == (100_004, 24 * 1024)
    assert progress.output.endswith(b"\0end\n")


def test_puts_a_file_there(guest):
    sent = guest.send(SentFile(name="t-5", content=b"a\0b\xff", folder="/run/new", file="it", mode="0600"))

    assert sent is Begun.WELL
    assert begun(guest, "t-6", "wc -c </run/new/it; stat -c %a /run/new/it").output == b"4\n600\n"


def test_says_what_is_not_there(guest):
    assert guest.begin(Run(name="t-7", script=b"true", timeout_s=60, user="nobody")) is Begun.NO_USER
    assert guest.begin(Run(name="t-8", script=b"true", timeout_s=60, directory="/none")) is Begun.NO_DIRECTORY


def test_tells_of_the_agent(guest):
    assert guest.about().runs_commands
    assert len(guest.boot()) > 30
