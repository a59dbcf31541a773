"""Two hosts between which a machine's guest goes, and what is done and seen there."""

from __future__ import annotations

import os
import socket
import threading
from contextlib import contextmanager, suppress

import pytest

from kiln.guest.session import open_session
from kiln.machines import process, qmp
from kiln.machines.qemu import QemuMachines
from tests.machines.disks import Disks, a_machine
from tests.machines.patience import LIMIT_S
from tests.tools import needs
from tests.waiting import wait_for


def at(run):
    return QemuMachines(run, accel="tcg", patience_s=0.5, end_timeout_s=LIMIT_S)


class Two:
    """Machines of two hosts that see one folder of disks."""

    def __init__(self, folder):
        needs("qemu-system-x86_64", "qemu-img")
        self.here, self.there = (at(folder / name) for name in ("here", "there"))
        self.disks = Disks(folder / "disks")

    def machine(self, *heads, **changes):
        drives = [self.disks.drive(head, letter) for head, letter in zip(heads, "ab", strict=False)]
        self.chains = [drive.blockdevs for drive in drives]
        return a_machine(drives=drives, **changes)

    def give(self, machines, *heads):
        """Hand the disks' files to the machine's user on one of the hosts, as a pool does it."""
        uid = machines.uid("i-1")
        for head in heads:
            if uid is not None:
                os.chown(self.disks.path(head), uid, uid)

    def send(self):
        self.here.migrate("i-1", lambda: self.there.entrance("i-1"), chains=self.chains)

    def take_over(self):
        self.there.take_over("i-1", chains=self.chains)

    def end(self):
        for machines in (self.here, self.there):
            machines.stop("i-1", force=True)


@pytest.fixture
def two(reachable):
    made = Two(reachable)
    yield made
    made.end()


def wait_there(two):
    two.give(two.there, "a0")
    two.there.receive(two.machine("a0"), two.here.make("i-1"))


def status(machines):
    return qmp.execute(machines.folder("i-1").qmp, "query-status")["status"]


def secrets(machines):
    """The passphrases that QEMU knows, by their IDs."""
    with qmp.open_session(machines.folder("i-1").qmp) as session:
        listed = session.execute("qom-list", {"path": "/objects"})
    return [each["name"] for each in listed if each["type"] == "child<secret>"]


def kill(machines):
    with process.open_process(machines.folder("i-1")) as qemu:
        qemu.kill()
        assert qemu.is_gone(LIMIT_S)


def deaf(way):
    """A way by which all goes there, and nothing that is said there comes back."""
    near, ours = socket.socketpair()

    def hand_on():
        with way, ours, suppress(OSError):
            while piece := ours.recv(1 << 16):
                way.sendall(piece)

    threading.Thread(target=hand_on).start()
    return near


def begin_to_write(machines):
    """Have the small guest write a number after the other to its second disk, and a note beside its first."""
    with open_session(machines.folder("i-1").console) as session:
        session.ask("write /data0/kept before")
        session.ask("sync")
        session.ask("seq start")
        wait_for(lambda: int(session.ask("seq") or 0) > 3, within_s=300)


@contextmanager
def still_writing(machines, sent=None):
    """A conversation with that guest once it has written on, beyond *sent* or what it says first, and has the note."""
    with open_session(machines.folder("i-1").console) as session:
        sent = int(session.ask("seq")) if sent is None else sent
        wait_for(lambda: int(session.ask("seq")) > sent + 3, within_s=300)
        assert session.ask("read /data0/kept") == "before"
        yield session
