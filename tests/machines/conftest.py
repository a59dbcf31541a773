"""Machines for tests: one that has booted the small guest, and bare ones that only have QEMU and no system."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from kiln.guest.session import Session, open_session
from kiln.machines.qemu import QemuMachines
from tests.guests import guest_image, open_reachable, reachable  # noqa: F401 - fixtures
from tests.machines.addresses import an_address
from tests.machines.between import two  # noqa: F401 - a fixture.
from tests.machines.disks import Disks, a_machine
from tests.machines.patience import LIMIT_S, patient  # noqa: F401 - a fixture
from tests.tools import needs

#: Longer than a socket's name may be, as data folders of people are.
DEEP = "a-folder-with-quite-a-long-name/" * 4


@dataclass
class Booted:
    """A machine whose guest is up, and who speaks to it."""

    machines: QemuMachines
    instance: str
    disks: Disks
    session: Session
    address: str  #: Its port 2277 leads to the guest's.

    @property
    def guest(self):
        return self.machines.guest(self.instance)

    @property
    def uid(self):
        return self.machines.uid(self.instance)


@pytest.fixture(scope="module")
def booted(guest_image):  # noqa: F811 - the fixture.
    """A machine with an encrypted system disk and a data disk, up and running, for a module's tests together.

    They leave it running and its disks ``/dev/xvda`` and ``/dev/xvdb`` in place.
    """
    with open_reachable() as folder:
        machines = QemuMachines(folder / DEEP / "run", accel="tcg", patience_s=LIMIT_S, end_timeout_s=LIMIT_S)
        disks = Disks(folder / DEEP / "disks")
        uid = machines.uid("i-1")
        disks.bring_in("system", guest_image)
        disks.encrypted("s0", "sealed", disks.encrypted_copy("system", "sealed"), uid)
        disks.blank("d0", uid=uid)
        drives = [disks.drive("s0", "a", "0"), disks.drive("d0", "b", "1")]
        address = an_address()
        machines.start(a_machine(drives=drives, public_ip=address, ports=(2277,)))
        try:
            with open_session(folder / DEEP / "run" / "i-1" / "console") as session:
                yield Booted(machines, "i-1", disks, session, address)
                session.console.close()  # Another one, where a test has let go of the first.
        finally:
            machines.stop("i-1", force=True)


@pytest.fixture
def machines(reachable):  # noqa: F811 - the fixture.
    """Machines of which none is left running."""
    needs("qemu-system-x86_64", "qemu-img")
    made = QemuMachines(reachable / "run", accel="tcg", patience_s=0.5, end_timeout_s=LIMIT_S)
    yield made
    for instance in list(made.running()):
        made.stop(instance, force=True)


@pytest.fixture
def disks(reachable):  # noqa: F811 - the fixture.
    return Disks(reachable / "disks")


@pytest.fixture
def bare(machines, disks):
    """A machine without a system: it runs, but only its firmware does. Its disks are ``a0`` and ``b0``."""
    uid = machines.uid("i-1")
    drives = [disks.drive(disks.blank(f"{letter}0", uid=uid), letter) for letter in "ab"]
    machines.start(a_machine(drives=drives))
    return machines
