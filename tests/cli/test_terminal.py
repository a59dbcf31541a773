"""Joining a terminal to an instance's console by the API: a served Kiln, whose guest is the test."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest

from kiln.cli import exits
from kiln.guest.image import READY
from kiln.wire.http.bounds import Room
from kiln.wire.paths.events import Limits
from tests.clouds import ACCOUNT, REGION, make_cloud
from tests.consoled import Consoled, a_running_instance
from tests.wire.paths.site import start_site


@contextmanager
def site_of(tmp_path, sqlite, printed=b""):
    machines = Consoled(tmp_path / "run", printed)
    cloud = make_cloud(tmp_path, sqlite, machines=machines)
    cloud.clock.now = time.time()  # The command line signs by this host's clock.
    with start_site(cloud, Limits(), Room(64, 64)) as served:
        served.instance = a_running_instance(cloud)
        yield served
        machines.close()


@pytest.fixture
def site(tmp_path, sqlite):
    with site_of(tmp_path, sqlite) as served:
        yield served


def settings_of(site):
    host, port = site.address
    return {
        "KILN_ENDPOINT": f"http://{host}:{port}",
        "KILN_ACCESS_KEY_ID": ACCOUNT,
        "KILN_ACCESS_KEY_SECRET": f"secret-{ACCOUNT}",
        "KILN_REGION": REGION,
    }


def attach(site, *words, **streams):
    given = words or ("instance", "console", site.instance, "--attach")
    command = [sys.executable, "-m", "kiln.cli.main", *given]
    return subprocess.Popen(command, env=os.environ | settings_of(site), stderr=subprocess.PIPE, **streams)


def obey(guest, answers):
    """Be the guest of a sample: it echoes what is typed, and answers each line with one."""
    with guest, guest.makefile("rb") as lines:
        guest.settimeout(300)
        while line := lines.readline():
            typed = line.strip().decode()
            path = typed.removeprefix("read ")
            answer = answers.get(typed, f">> error no file {path}" if path != typed else READY)
            guest.sendall(f"{typed}\r\n{answer}\r\n".encode())


def test_types_into_a_machine_from_anywhere_and_shows_what_it_says(site):
    with attach(site, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        guest = site.cloud.ports.machines.guests.get(timeout=300)
        guest.sendall(b"login: ")
        shown = os.read(process.stdout.fileno(), 100)
        process.stdin.write(b"root\n")
        process.stdin.flush()
        typed = guest.recv(100)
        process.stdin.write(b"\x1d")
        process.stdin.flush()
        _, said = process.communicate(timeout=300)

    assert (shown, typed, process.returncode) == (b"login: ", b"root\n", exits.DONE.number)
    assert b"left the console" in said


@pytest.mark.parametrize("printed", [b"", f"{READY}\r\n>> ok of before\r\n>> error no file /run/old\r\n".encode()])
def test_talks_to_a_samples_guest_from_anywhere_whatever_was_printed_before(tmp_path, sqlite, printed):
    """By the endpoint and keys alone, where no data folder of the service is."""
    with site_of(tmp_path, sqlite, printed) as site:
        with attach(site, "instance", "shell", site.instance, "uptime", stdout=subprocess.PIPE) as process:
            guest = site.cloud.ports.machines.guests.get(timeout=300)
            obey(guest, {"uptime": ">> ok 7.5"})
            shown, said = process.communicate(timeout=300)

        assert (shown, process.returncode) == (b"7.5\n", exits.DONE.number), said


def test_says_why_a_samples_guest_is_heard_of_no_more(site):
    with attach(site, "instance", "shell", site.instance, "uptime", stdout=subprocess.PIPE) as process:
        site.cloud.ports.machines.guests.get(timeout=300).close()
        _, said = process.communicate(timeout=300)

    assert process.returncode == exits.FAILED_LATER.number
    assert b"The session is over: the machine has stopped." in said


def test_ends_with_the_machine_and_says_so(site):
    with attach(site, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        site.cloud.ports.machines.guests.get(timeout=300).close()
        ended = process.wait(300)
        said = process.stderr.read()

    assert ended == exits.DONE.number
    assert b"the session is over: the machine has stopped" in said


@pytest.mark.parametrize(
    ("opened", "code", "told"),
    [("/dev/full", exits.FILE, b"standard output cannot be written: No space left on device"), ("", exits.UNREAD, b"")],
    ids=["full", "closed"],
)
def test_ends_without_a_traceback_where_nothing_can_be_shown(site, opened, code, told):
    if opened:
        lost = os.open(opened, os.O_WRONLY)
    else:
        reading, lost = os.pipe()
        os.close(reading)
    with attach(site, stdin=subprocess.PIPE, stdout=lost) as process:
        os.close(lost)
        site.cloud.ports.machines.guests.get(timeout=300).sendall(b"login: ")
        ended = process.wait(300)
        said = process.stderr.read()

    assert (ended, b"Traceback" in said, b"session is over" in said) == (code.number, False, False)
    assert told in said
