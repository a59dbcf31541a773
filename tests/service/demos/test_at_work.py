"""What a demo shows on a terminal while a step takes its time."""

from __future__ import annotations

import io
import os
import pty

import pytest

from kiln.service.demos.at_work import AtWork
from tests.waiting import wait_for


class Terminal:
    """A terminal of 40 columns, with all that it was told so far."""

    def __init__(self, ours, stream):
        self.stream = stream
        self._told = b""
        self._ours = ours

    def shows(self, text):
        """Whether it has shown that by now; waits for more where it has not."""
        if text.encode() not in self._told:
            self._told += os.read(self._ours, 65536)
        return text.encode() in self._told


@pytest.fixture
def terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    ours, its = pty.openpty()
    try:
        with os.fdopen(its, "w", encoding="utf-8") as stream:
            yield Terminal(ours, stream)
    finally:
        os.close(ours)


def test_a_step_is_shown_with_its_seconds_until_it_is_done(terminal):
    at_work = AtWork(lambda line: print(line, file=terminal.stream, flush=True), terminal.stream)

    with at_work.on("packer build: from its first call to its end"):
        wait_for(lambda: terminal.shows("\r\x1b[K    packer build: from its first call t"), within_s=300)
        at_work.at("Waiting for SSH")
        wait_for(lambda: terminal.shows("\r\x1b[K    Waiting for SSH … "), within_s=300)
        at_work.say("said")
    at_work.say("done")

    wait_for(lambda: terminal.shows("\r\x1b[Kdone\r\n"), within_s=300)
    assert terminal.shows("\r\x1b[Ksaid\r\n")


def test_a_step_that_fails_takes_its_line_along(terminal):
    at_work = AtWork(lambda line: print(line, file=terminal.stream, flush=True), terminal.stream)

    def fail():
        with at_work.on("a step"):
            wait_for(lambda: terminal.shows("a step … "), within_s=300)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()

    print("$", file=terminal.stream, flush=True)
    wait_for(lambda: terminal.shows("\r\x1b[K$"), within_s=300)


def test_whoever_does_not_watch_is_told_of_what_is_done_alone():
    said, file = [], io.StringIO()
    at_work = AtWork(said.append, file)

    with at_work.on("a step"):
        at_work.at("a stage")
        at_work.say("done")

    assert (said, file.getvalue()) == (["done"], "")
