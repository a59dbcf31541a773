"""A real machine on a real cable: its address, its neighbours, its public address, and a keeper that ends."""

from __future__ import annotations

import os
import time
from dataclasses import replace

import pytest

from kiln.guest.session import open_session
from kiln.machines.qemu import QemuMachines
from tests.contract.networks import Kept
from tests.guests import guest_image, reachable  # noqa: F401 - fixtures
from tests.machines.disks import Disks, a_machine
from tests.machines.patience import patient  # noqa: F401 - a fixture.
from tests.networks.places import group, interface, opened, place, public
from tests.networks.test_keepers import kill_keeper
from tests.waiting import wait_for

pytestmark = [pytest.mark.vm, pytest.mark.usefixtures("patient")]

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


def test_a_guest_that_goes_to_another_machine_while_it_runs_keeps_its_network(reachable, guest_image):  # noqa: F811
    """Also one that is recalled: its machine holds its cable by the folder that it was started with."""
    disks = Disks(reachable / "disks")
    disks.bring_in("system", guest_image)
    disks.above("s0", "system")
    hosts = [Kept(reachable / name) for name in ("here", "there")]
    here, there = (QemuMachines(reachable / name / "run", accel="tcg") for name in ("here", "there"))
    try:
        for host, carries in zip(hosts, (True, False), strict=True):
            host.networks.hold(part(1, carries=carries))
            host.start(part(1, carries=carries), TWO)
            host.peer("vpc-1", "eni-2").ask("serve", 80, "neighbour")
        first, second = (joined_to(host, machines, disks) for host, machines in zip(hosts, (here, there), strict=True))
        give(disks, here)
        here.start(first)
        with open_session(here.folder("i-1").console) as session:
            assert session.ask("network") == ONE.address
        assert here.make("i-1").is_cabled

        def send(revision):
            """As far as it is decided that it is the other host's."""
            give(disks, there)
            there.receive(second, here.make("i-1"))
            here.migrate("i-1", lambda: there.entrance("i-1"))
            for host, carries in zip(hosts, (False, True), strict=True):
                host.networks.hold(part(revision, carries=carries))

        send(2)
        there.stop("i-1", force=True)
        for host, carries in zip(hosts, (True, False), strict=True):
            host.networks.hold(part(3, carries=carries))
        give(disks, here)
        here.recall("i-1")
        assert hears_its_neighbour(here)

        send(4)
        there.take_over("i-1")
        here.stop("i-1", force=True)
        assert hears_its_neighbour(there)
    finally:
        for machines in (here, there):
            machines.stop("i-1", force=True)
        for host in hosts:
            host.close()


def part(revision, *, carries):
    """What a host has of a VPC of two, of which one is on its way between two hosts."""
    return place(ONE, TWO, revision=revision) if carries else replace(place(TWO, revision=revision), laid=(ONE,))


def joined_to(host, machines, disks):
    """The machine as it is started there."""
    cable = host.networks.cable("vpc-1", "eni-1", machines.uid("i-1"))
    return a_machine(drives=[disks.drive("s0", "a")], mac=ONE.mac, cable=cable.folder, serial=SERIAL)


def give(disks, machines):
    """Hand the disk's file to the machine's user, as a pool does it."""
    if (uid := machines.uid("i-1")) is not None:
        os.chown(disks.path("s0"), uid, uid)


def hears_its_neighbour(machines):
    with open_session(machines.folder("i-1").console) as session:
        return f"neighbour {ONE.address}" in session.ask(f"run sleep 5 | nc -w 20 {TWO.address} 80")
