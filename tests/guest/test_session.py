from __future__ import annotations

import socket
import threading
from contextlib import contextmanager, suppress

import pytest

from kiln.guest.errors import GuestRefused, GuestSilent
from kiln.guest.image import READY
from kiln.guest.session import Session, open_session


@pytest.fixture
def wire():
    """A session, and the guest's end of its console."""
    ours, guests = socket.socketpair()
    with ours, guests:
        yield Session(ours), guests


def test_hears_the_answer_between_what_the_kernel_prints(wire):
    session, guest = wire
    guest.sendall(b"[  1.0] random: ready\r\n[  2.0] vdb: >> ok 1 2\r\n")

    assert session.ask("disks") == "1 2"
    assert guest.recv(100) == b"disks\n"


def test_takes_no_echo_for_an_answer(wire):
    session, guest = wire
    guest.sendall(b"write /a >> error 7\r\n>> ok\r\n" + b"[  3.0] x: write /a >> ok\r\n>> ok 2\r\n")

    assert session.ask("write /a >> error 7") == ""
    assert session.ask("write /a >> ok") == "2"


def test_refuses_as_the_guest_does(wire):
    session, guest = wire
    guest.sendall(b">> error no file /a\n")

    with pytest.raises(GuestRefused, match="read /a: no file /a"):
        session.ask("read /a")


def test_says_when_the_guest_is_silent(wire):
    session, _ = wire

    with pytest.raises(GuestSilent, match="did not answer 'sync' within 0 s"):
        session.ask("sync", timeout_s=0.05)
    with pytest.raises(GuestSilent, match="did not come up"):
        session.wait_ready(0.05)


def test_says_when_the_machine_ends(wire):
    session, guest = wire
    guest.close()

    with pytest.raises(GuestSilent):
        session.ask("sync")


@contextmanager
def obeying(guest, knocks=0):
    """Have a guest come up after so many *knocks*: it says so to each, and answers what it is asked for."""

    def obey():
        with guest.makefile("rb") as lines:
            for count, line in enumerate(lines):
                verb, _, path = line.decode().strip().partition(" ")
                if count < knocks:
                    continue
                guest.sendall(f">> error no file {path}\n".encode() if verb == "read" else f"{READY}\n".encode())

    thread = threading.Thread(target=obey)
    thread.start()
    try:
        yield
    finally:
        guest.shutdown(socket.SHUT_RD)
        thread.join()


def test_knocks_until_the_guest_is_up_and_skips_the_answers_to_that(wire):
    session, guest = wire
    with obeying(guest, knocks=2):
        session.wait_ready(60)

        with pytest.raises(GuestRefused, match="no file /data0/a"):
            session.ask("read /data0/a")


def test_takes_what_was_shown_of_long_ago_for_no_answer(wire):
    """By a door what was printed last is shown first: also of a guest that has begun anew since."""
    session, guest = wire
    guest.sendall(f"{READY}\n>> ok of before\n>> error no file /run/before\n".encode())
    with obeying(guest, knocks=1):
        session.wait_ready(60)

        with pytest.raises(GuestRefused, match="no file /data0/a"):
            session.ask("read /data0/a")


def test_says_when_there_is_no_console(tmp_path):
    with pytest.raises(GuestSilent), open_session(tmp_path / "console", 1):
        pass


def test_waits_on_for_a_guest_that_takes_nothing_yet(wire):
    session, guest = wire
    session.console.setblocking(False)
    with suppress(BlockingIOError):
        while True:
            session.console.sendall(b"\n")

    with pytest.raises(GuestSilent, match="did not come up within 0 s"):
        session.wait_ready(timeout_s=0.1)

    with obeying(guest):
        session.wait_ready()
