"""How the program ends when nobody reads it, when what it writes to fails, and when a signal comes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from kiln.cli import exits
from kiln.cli.ending import orderly
from kiln.cli.exits import OutputLost
from kiln.cli.refusals import explain

KILN = [sys.executable, "-m", "kiln.cli.main"]


def shell(line: str) -> subprocess.CompletedProcess[str]:
    """What bash makes of a line in which ``kiln`` stands for the program."""
    script = f'set -o pipefail; kiln() {{ {" ".join(KILN)} "$@"; }}; {line}'
    return subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False, timeout=300)


@pytest.mark.parametrize("words", ["--version", "call --list", "image create --help"])
def test_a_full_output_is_told_and_is_no_fault_of_ours(words):
    done = shell(f"kiln {words} >/dev/full")

    assert done.returncode == exits.FILE.number
    assert "standard output cannot be written: No space left on device" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("words", ["--version", "call --list", "image create --help"])
def test_a_closed_output_is_told(words):
    done = shell(f"kiln {words} >&-")

    assert done.returncode == exits.FILE.number
    assert "standard output cannot be written: it is closed" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("words", ["--version", "call --list", "image create --help"])
def test_of_a_reader_that_went_nothing_is_said(words):
    reading, writing = os.pipe()
    os.close(reading)

    done = subprocess.run([*KILN, *words.split()], stdout=writing, stderr=subprocess.PIPE, check=False, timeout=300)

    os.close(writing)
    assert done.returncode == exits.UNREAD.number
    assert done.stderr == b""


def test_a_closed_standard_error_is_no_matter():
    done = shell("kiln call NoSuchAction 2>&-")

    assert done.returncode == exits.USAGE.number


def test_says_what_a_disk_that_fails_is(capsys):
    code = explain(OSError(5, "Input/output error", "/data/kiln.sqlite"))

    assert code == exits.FILE
    assert capsys.readouterr().err.startswith(
        "kiln: /data/kiln.sqlite: Input/output error\n(The disk or the file system"
    )


def test_an_error_that_is_nobodys_is_ours(capsys):
    assert explain(ValueError("odd")) is None
    assert explain(OutputLost("")) == exits.UNREAD
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_takes_away_what_it_began_when_a_signal_ends_it(number):
    taken = []

    def upload() -> None:
        with orderly():
            try:
                signal.raise_signal(number)
            finally:
                signal.raise_signal(number)  # Nobody has patience; what is taken away is taken away whole.
                taken.append("upload")

    with pytest.raises(SystemExit) as ended:
        upload()

    assert ended.value.code == 128 + number
    assert taken == ["upload"]


@pytest.mark.parametrize("second", [signal.SIGINT, signal.SIGTERM])
def test_hears_one_interrupt_where_machines_are_to_be_ended(second):
    taken = []

    def demo() -> None:
        with orderly(hears_one_interrupt=True):
            try:
                signal.raise_signal(signal.SIGINT)
            finally:
                signal.raise_signal(second)
                taken.append("machines")

    # Who runs many tests at once has them ignore it, as nohup has other signals.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            demo()
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)

    assert taken == ["machines"]


def test_heeds_no_signal_that_nohup_has_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with orderly():
            signal.raise_signal(signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_leaves_signals_as_they_were():
    before = [signal.getsignal(one) for one in (signal.SIGTERM, signal.SIGHUP)]

    with orderly():
        pass

    assert [signal.getsignal(one) for one in (signal.SIGTERM, signal.SIGHUP)] == before
