"""Joining a terminal to a machine's serial port: a socket in the machine's run folder, as QEMU makes it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest

from kiln.cli import exits


@pytest.fixture
def port(tmp_path):
    """The console of the machine below the data folder."""
    folder = tmp_path / "run" / INSTANCE
    folder.mkdir(parents=True)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "console"))
        listener.listen(1)
        listener.settimeout(300)
        yield listener


INSTANCE = "i-bp1g6zv0ce8oghu7k2d3"


def attach(data, **streams):
    words = ["instance", "console", INSTANCE, "--attach", "--data", str(data)]
    return subprocess.Popen([sys.executable, "-m", "kiln.cli.main", *words], stderr=subprocess.PIPE, **streams)


def test_types_into_a_machine_and_shows_what_it_says(tmp_path, port):
    with attach(tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        guest, _ = port.accept()
        with guest:
            guest.sendall(b"login: ")
            shown = os.read(process.stdout.fileno(), 100)
            process.stdin.write(b"root\n")
            process.stdin.flush()
            typed = guest.recv(100)
            process.stdin.write(b"\x1d")
            process.stdin.flush()
            ended = process.wait(300)

    assert (shown, typed, ended) == (b"login: ", b"root\n", exits.DONE.number)


def test_ends_with_the_machine(tmp_path, port):
    with attach(tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        guest, _ = port.accept()
        guest.close()

        assert process.wait(300) == exits.DONE.number


def test_says_when_no_machine_runs(tmp_path):
    with attach(tmp_path, stdin=subprocess.DEVNULL) as process:
        _, said = process.communicate(timeout=300)

    assert process.returncode == exits.FILE.number
    assert b"Does the instance run" in said
