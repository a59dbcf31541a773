"""A real machine on a real cable: its address, its neighbours, its public address, and a keeper that ends."""

from __future__ import annotations

import time

import pytest

from kiln.guest.session import open_session
from kiln.machines.qemu import QemuMachines
from tests.contract.networks import Kept
from tests.guests import guest_image, reachable  # noqa: F401 - fixtures
from tests.machines.disks import Disks, a_machine
from tests.networks.places import group, interface, opened, place, public
from tests.networks.test_keepers import kill_keeper
from tests.waiting import wait_for

pytestmark = pytest.mark.vm

ONE, TWO = interface(1), interface(2)
SERIAL = "3b9f0f6a-0000-4000-8000-000000000001"
WIDE = "a-folder-with-quite-a-long-name/" * 4


def heard(ask):
    """What is said in the end: the guest serves one client at a time, and none between two."""
    deadline = time.monotonic() + 300.0
    while not (said := ask()) and time.monotonic() < deadline:
        time.sleep(0.2)
    return (said or "").strip()


def told_by(session, other):
    """What a guest hears of another one's service."""
    return session.ask(f"run sleep 5 | nc -w 20 {other.address} 80")


def test_a_guest_has_its_network_by_its_cable(reachable, guest_image):  # noqa: F811
    host = Kept(reachable / WIDE)
    machines, disks = QemuMachines(reachable / WIDE / "run", accel="tcg"), Disks(reachable / WIDE / "disks")
    uid = machines.uid("i-1")
    disks.bring_in("system", guest_image)
    disks.above("s0", "system", uid)
    made = place(ONE, TWO, groups=[group("sg-1", *opened(2299))], public={"eni-1": public(5)})
    host.networks.hold(made)
    cable = host.networks.cable("vpc-1", "eni-1", uid)
    machines.start(a_machine(drives=[disks.drive("s0", "a")], mac=ONE.mac, cable=cable.folder, serial=SERIAL))
    try:
        host.start(made, TWO)
        neighbour = host.peer("vpc-1", "eni-2")
        neighbour.ask("serve", 80, "neighbour")
        with open_session(reachable / WIDE / "run" / "i-1" / "console") as session:
            assert session.ask("network") == ONE.address
            assert machines.is_cabled("i-1")
            assert session.ask("read /sys/class/dmi/id/product_name") == "Alibaba Cloud ECS"
            assert session.ask("read /sys/class/dmi/id/product_serial") == SERIAL
            assert heard(lambda: told_by(session, TWO)) == f"neighbour {ONE.address}"
            session.ask("serve 2299 here-is-the-guest")
            assert heard(lambda: neighbour.ask("tcp", ONE.address, 2299, 60.0)) == "here-is-the-guest"
            listening = host.networks.listening("vpc-1")[public(5)][2299]
            assert heard(lambda: host.heard_at(public(5), listening)) == "here-is-the-guest"

            kill_keeper(host)
            assert host.networks.revive() == ["vpc-1"]
            assert heard(lambda: told_by(session, TWO)) == f"neighbour {ONE.address}"
            wait_for(lambda: "0 packets received" not in session.ask("run ping -c 3 -q 172.16.1.253"))
    finally:
        machines.stop("i-1", force=True)
        host.close()
