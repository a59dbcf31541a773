"""A switch catches all disks at one instant, while the guest writes."""

from __future__ import annotations

import subprocess
import time

import pytest

from kiln.guest.session import open_session
from kiln.machines.qemu import QemuMachines
from tests.guests import open_reachable
from tests.machines.disks import Disks, a_machine, settle

pytestmark = [pytest.mark.vm, pytest.mark.slow_vm, pytest.mark.usefixtures("patient")]

COUNT = 17
LETTERS = "abcdefghijklmnopq"
_NUMBERED_SECTOR = 1


@pytest.fixture(scope="module")
def counting(guest_image):
    """A guest with 17 disks that counts on all of them, one after the other, ever on."""
    with open_reachable() as folder:
        machines, disks = QemuMachines(folder / "run", accel="tcg"), Disks(folder / "disks")
        uid = machines.uid("i-1")
        disks.bring_in("system", guest_image)
        disks.above("a0", "system", uid)
        # Not blank, or the guest would spend its time on formatting them.
        disks.blank("seed")
        subprocess.run(["qemu-io", "-c", "write -q -P 1 0 64k", disks.path("seed")], check=True)
        for letter in LETTERS[1:]:
            disks.above(f"{letter}0", "seed", uid)
        machines.start(a_machine(drives=[disks.drive(f"{letter}0", letter) for letter in LETTERS]))
        try:
            with open_session(folder / "run" / "i-1" / "console") as session:
                session.ask("seq start")
                yield machines, disks, session
                session.ask("seq stop")
        finally:
            machines.stop("i-1", force=True)


@pytest.mark.parametrize("count", [1, 4, COUNT])
def test_captures_disks_of_one_instant(counting, count):
    machines, disks, session = counting
    for _ in range(3):
        wait_for_another_round(session)
        heads = [newest(disks, letter) for letter in LETTERS[:count]]
        nodes = [(head, disks.node(disks.above(heir_of(head), head, machines.uid("i-1")))) for head in heads]

        machines.guest("i-1").switch(nodes, settle)

        caught = [int(disks.sector(head, _NUMBERED_SECTOR)) for head in heads]
        assert caught == sorted(caught, reverse=True)
        assert caught[0] - caught[-1] <= 1


def newest(disks, letter):
    return f"{letter}{max(int(name[1:]) for name in disks.below if name[0] == letter and name[1:].isdigit())}"


def heir_of(head):
    return f"{head[0]}{int(head[1:]) + 1}"


def wait_for_another_round(session):
    before, deadline = session.ask("seq"), time.monotonic() + 300
    while session.ask("seq") == before:
        assert time.monotonic() < deadline
        time.sleep(0.02)
