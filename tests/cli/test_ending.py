"""How the program ends when nobody reads it, when what it writes to fails, and when a signal comes."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from kiln.cli import exits
from kiln.cli.ending import orderly
from kiln.cli.exits import OutputLost
from kiln.cli.refusals import explain

ROOT = Path(__file__).parents[2]
KILN = [sys.executable, "-m", "kiln.cli.main"]
#: Interrupts the interpreter that imports it when a module is looked for, when it is imported itself, or at its end.
INTERRUPTING = """
import atexit, os, signal, sys
from functools import partial

class Finder:
    def find_spec(self, name, *_):
        if name == moment:
            sys.meta_path.remove(self)
            interrupt()

interrupt = partial(signal.raise_signal, signal.SIGINT)
moment = os.environ["INTERRUPTED_AT"]
if moment == "the end":
    atexit.register(interrupt)
sys.meta_path.insert(0, Finder())
if moment == __name__:
    interrupt()
"""
LAUNCHED, INSTALLED = [ROOT / "kiln"], [sys.executable, "-P", "-c", "from kiln.cli.start import main; main()"]


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


def interrupted(program, moment, folder, ignoring: str = "default"):
    """What ends ``kiln call --list`` that is interrupted at a moment of its start, with its output."""
    (folder / "sitecustomize.py").write_text(INTERRUPTING)
    # Who runs many tests at once has them ignore it, as nohup has other signals.
    command = ["env", f"--{ignoring}-signal=INT", *program, "call", "--list"]
    environment = {**os.environ, "PYTHONPATH": str(folder), "INTERRUPTED_AT": moment}
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300, env=environment)


@pytest.mark.parametrize(
    ("program", "moment"),
    [
        (LAUNCHED, "sitecustomize"),
        (LAUNCHED, "kiln.cli"),
        (LAUNCHED, "typer"),
        (INSTALLED, "kiln.cli.main"),
        (INSTALLED, "typer.main"),
        (INSTALLED, "kiln.cli.words.call"),
        (INSTALLED, "kiln.client.catalogue"),
        (INSTALLED, "the end"),
    ],
)
def test_an_interrupt_while_it_starts_or_ends_is_no_traceback(program, moment, tmp_path):
    """It showed thirty lines of imports."""
    done = interrupted(program, moment, tmp_path)

    assert (done.returncode, done.stderr) == (-signal.SIGINT, "")  # Of which a shell says 130.


@pytest.mark.parametrize("program", [LAUNCHED, INSTALLED])
def test_an_interrupt_that_is_ignored_stays_so_while_it_starts(program, tmp_path):
    done = interrupted(program, "typer", tmp_path, ignoring="ignore")

    assert (done.returncode, done.stderr) == (0, "")
    assert "DescribeImages" in done.stdout


def test_an_interrupt_while_a_word_is_at_it_can_be_heard():
    """From there on there may be something to take away."""
    with socket.create_server(("127.0.0.1", 0)) as service:
        where = f"http://127.0.0.1:{service.getsockname()[1]}"
        keys = {"KILN_ACCESS_KEY_ID": "LTAI5tFakeFakeFakeFake", "KILN_ACCESS_KEY_SECRET": "fake"}
        command = ["env", "--default-signal=INT", *INSTALLED, "call", "DescribeImages"]
        environment = {**os.environ, **keys, "KILN_ENDPOINT": where, "KILN_REGION": "local"}
        asking = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
        service.settimeout(300)
        with service.accept()[0]:
            asking.send_signal(signal.SIGINT)
            _, said = asking.communicate(timeout=300)

    assert (asking.returncode, said) == (exits.INTERRUPTED.number, "")
