"""Two hosts between which a machine's guest goes, and what is done and seen there."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
from contextlib import contextmanager, suppress

import pytest

from kiln.guest.session import open_session
from kiln.machines import moving, process, qmp
from kiln.machines.errors import MachineMissing
from kiln.machines.qemu import QemuMachines
from kiln.machines.runfolder import RunFolder
from tests.dying import Killed, dying
from tests.machines.disks import Disks, a_machine
from tests.machines.patience import LIMIT_S
from tests.pools.kills import killed_at
from tests.tools import needs
from tests.waiting import wait_for
from torment.simulated.machines import Process, SimulatedMachines, Status, Way, World


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

    def prepare(self, *, is_encrypted=False):
        """Make the disk ``a0``, without a system."""
        if is_encrypted:
            self.disks.encrypted("a0")
        else:
            self.disks.blank("a0")

    def is_written(self):
        """Whether a machine has the disk ``a0`` to write: then QEMU's own tool is refused it."""
        done = subprocess.run(
            ["qemu-io", "-c", "read -q 0 512", self.disks.path("a0")], capture_output=True, text=True, check=False
        )
        assert not done.returncode or "lock" in done.stderr
        return bool(done.returncode)

    def recall(self, may_run):
        """Have the guest go on here, where *may_run* is asked only once the machine has its disks."""
        moving.recall(marks(self.here), may_run)

    @contextmanager
    def sent_nowhere(self):
        """A way whose other end takes nothing."""
        near, far = socket.socketpair()
        with far:
            yield near

    def send_unheard(self):
        """Send the guest where all of it comes, and what is said then does not come back."""
        moving.send(marks(self.here), lambda: deaf(self.there.entrance("i-1")), still_s=0.5)

    def killed_at(self, number, act):
        return killed_at(number, act)


class Simulated(Two):
    """The same of the machines that simulated hosts have."""

    def __init__(self, folder):
        self.world = World()
        self.here, self.there = (SimulatedMachines(folder / name, name, self.world) for name in ("here", "there"))
        self.chains = []

    def machine(self, *_, **changes):
        return a_machine(**changes)

    def give(self, *_):
        """Whoever opens a simulated disk may."""

    def prepare(self, *, is_encrypted=False):
        assert not is_encrypted

    def is_written(self):
        return "i-1" in self.world.locks

    def recall(self, may_run):
        self.here._recall("i-1", may_run)

    @contextmanager
    def sent_nowhere(self):
        nowhere = SimulatedMachines(self.here._folder, "nowhere", self.world)
        waits = nowhere._processes["i-1"] = Process(Status.WAITS)
        yield Way(nowhere, "i-1", waits)
        del self.world.hosts["nowhere"]

    def send_unheard(self):
        def cut(point):
            if point == "machines.has_come":
                self.world.are_joined = lambda *_: False
            return False

        with dying(cut):
            self.send()

    def killed_at(self, number, act):
        left = iter(range(number))
        try:
            with dying(lambda _: next(left, None) is None):
                act()
        except Killed:
            return True
        return False


@pytest.fixture
def two(reachable):
    made = Two(reachable)
    yield made
    made.end()


def wait_there(two):
    two.give(two.there, "a0")
    two.there.receive(two.machine("a0"), two.here.make("i-1"))


def marks(machines):
    """What is kept of the machine on its host, with the marks of guests that come and go."""
    return RunFolder(machines._folder / "i-1") if isinstance(machines, SimulatedMachines) else machines.folder("i-1")


def is_open(machines):
    """Whether something waits for a guest there, which nothing does any more then."""
    try:
        machines.entrance("i-1").close()
    except MachineMissing:
        return False
    return True


def status(machines):
    if isinstance(machines, SimulatedMachines):
        return machines.process("i-1").status.value
    return qmp.execute(machines.folder("i-1").qmp, "query-status")["status"]


def secrets(machines):
    """The passphrases that QEMU knows, by their IDs."""
    if isinstance(machines, SimulatedMachines):
        return []
    with qmp.open_session(machines.folder("i-1").qmp) as session:
        listed = session.execute("qom-list", {"path": "/objects"})
    return [each["name"] for each in listed if each["type"] == "child<secret>"]


def kill(machines):
    if isinstance(machines, SimulatedMachines):
        machines.end("i-1")
        return
    with process.open_process(machines.folder("i-1")) as qemu:
        qemu.kill()
        assert qemu.is_gone(LIMIT_S)


def deaf(way):
    """A way by which all goes there, and nothing that is said there comes back."""
    return cut_by(way)[0]


def cut_by(way):
    """As ``deaf``, and by what it is cut: a socket that is shut down for it."""
    near, ours = socket.socketpair()

    def hand_on():
        with way, ours, suppress(OSError):
            while piece := ours.recv(1 << 16):
                way.sendall(piece)

    threading.Thread(target=hand_on).start()
    return near, ours


def held_back(way, is_time):
    """A way by which nothing goes until it *is_time*, and then all, both ways."""
    near, ours = socket.socketpair()

    def carry(one, other):
        with suppress(OSError):
            while piece := one.recv(1 << 16):
                other.sendall(piece)
        with suppress(OSError):
            other.shutdown(socket.SHUT_WR)

    def carry_both():
        with way, ours:
            wait_for(is_time, within_s=LIMIT_S)
            back = threading.Thread(target=carry, args=(way, ours))
            back.start()
            carry(ours, way)
            back.join()

    threading.Thread(target=carry_both).start()
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
        sent = int(wait_for(lambda: session.ask("seq"))) if sent is None else sent
        wait_for(lambda: int(session.ask("seq") or 0) > sent + 3, within_s=300)
        assert session.ask("read /data0/kept") == "before"
        yield session
