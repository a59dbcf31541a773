"""Keepers as processes: killed, started anew, and what a hostile guest reaches through one."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from kiln.networks.errors import NetworkUnusable
from kiln.networks.keepers import KeptNetworks
from kiln.networks.placefolder import PlaceFolder
from kiln.networks.wayout import WayOut
from tests.contract.networks import Kept
from tests.guests import open_reachable
from tests.networks.places import group, interface, opened, place, public
from tests.networks.test_frames import packet
from tests.pools.kills import killed_at
from tests.tools import needs
from tests.waiting import wait_for

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
ONE, TWO = interface(1), interface(2)


@pytest.fixture
def host():
    with open_reachable() as folder:
        made = Kept(folder)
        try:
            yield made
        finally:
            made.close()


def kill_keeper(host, vpc="vpc-1"):
    with PlaceFolder(host.folder / vpc).keeper() as process:
        os.kill(process.pid, signal.SIGKILL)
        assert process.is_gone(300)


def test_a_killed_keeper_is_started_anew_under_its_guests(host):
    made = place(ONE, TWO, groups=[group("sg-1", *opened(2290))], public={"eni-2": public(3)})
    host.networks.hold(made)
    host.start(made)
    assert host.reaches("vpc-1", "eni-1", TWO.address, 80, expected=True)
    before = host.networks.listening("vpc-1")

    kill_keeper(host)
    assert host.networks.revive() == ["vpc-1"]

    assert host.reaches("vpc-1", "eni-1", TWO.address, 80, expected=True)
    assert host.networks.listening("vpc-1") == before
    assert host.comes_in(public(3), before[public(3)][2290], 2290) == "eni-2"


def test_who_finds_it_revived_by_then_does_not_say_that_it_did(host):
    host.networks.hold(place(ONE))
    kill_keeper(host)
    lock = (host.folder / "vpc-1" / "lock").stat().st_ino

    def are_waiting():
        return sum("->" in one and f":{lock} " in one for one in Path("/proc/locks").read_text().splitlines()) == 2

    with ThreadPoolExecutor(2) as threads:
        with PlaceFolder(host.folder / "vpc-1").held():
            said = [threads.submit(KeptNetworks(host.folder).revive) for _ in range(2)]
            wait_for(are_waiting, within_s=300.0)
        assert sorted(one.result(300) for one in said) == [[], ["vpc-1"]]


def test_a_change_finds_a_killed_keeper_too(host):
    host.networks.hold(place(ONE))
    kill_keeper(host)
    made = place(ONE, TWO, revision=2)
    host.networks.hold(made)
    host.start(made)

    assert host.reaches("vpc-1", "eni-1", TWO.address, 80, expected=True)


def test_a_call_that_was_killed_anywhere_is_made_again(host):
    number, way_out = 0, WayOut(to="public", is_for_all=True)
    networks, whole = KeptNetworks(host.folder, way_out=way_out), replace(place(ONE, TWO), laid=(interface(3),))
    while killed_at(number, lambda: KeptNetworks(host.folder, way_out=way_out).hold(whole)):
        networks.hold(whole)
        assert networks.cable("vpc-1", "eni-3", None).switch.exists()
        assert PlaceFolder(host.folder / "vpc-1").is_carried()
        assert PlaceFolder(host.folder / "vpc-1").has_egress()
        networks.let_go("vpc-1")
        number += 1
    assert number > 5

    number = 0
    while killed_at(number, lambda: KeptNetworks(host.folder).let_go("vpc-1")):
        host.networks.let_go("vpc-1")
        assert not (host.folder / "vpc-1").exists()
        host.networks.hold(place(ONE, TWO))
        number += 1
    assert number > 2


def test_a_vpc_without_interfaces_has_no_process(host):
    host.networks.hold(place(ONE))
    host.networks.hold(place(revision=2))

    assert not PlaceFolder(host.folder / "vpc-1").is_carried()
    assert host.networks.held("vpc-1").revision == 2
    assert host.networks.revive() == []


def test_a_cable_that_is_laid_needs_no_process_and_stays_when_it_is_carried_and_no_more(host):
    uid = 77_001 if os.geteuid() == 0 else None
    laid = replace(place(), laid=(ONE,))
    host.networks.hold(laid)
    cable = host.networks.cable("vpc-1", "eni-1", uid)
    assert not PlaceFolder(host.folder / "vpc-1").is_carried()
    assert host.networks.revive() == []
    folders = [one.stat().st_ino for one in (cable.folder, cable.folder / "qemu")]

    for made in (place(ONE, TWO, revision=2), replace(laid, revision=3), place(ONE, revision=4)):
        host.networks.hold(made)
        assert [one.stat().st_ino for one in (cable.folder, cable.folder / "qemu")] == folders
        assert cable.switch.stat().st_uid == (os.geteuid() if uid is None else uid)
    assert cable.switch.is_socket()

    host.networks.hold(place(revision=5))
    assert not cable.folder.exists()


def test_an_interface_that_moves_has_a_new_end(host):
    host.networks.hold(place(ONE, TWO))
    made = place(interface(1, vswitch="vsw-2"), TWO, revision=2)
    host.networks.hold(made)
    host.start(made)

    assert host.reaches("vpc-1", "eni-1", TWO.address, 80, expected=True) == "eni-2 172.16.2.11"


def test_what_the_host_refuses_is_told_as_that(tmp_path):
    (tmp_path / "file").touch()

    with pytest.raises(NetworkUnusable, match="cannot be carried: Not a directory"):
        KeptNetworks(tmp_path / "file" / "networks", confined=False).hold(place(ONE))


def test_a_guest_reaches_nothing_of_the_host(host):
    needs("ip")
    made = place(ONE, TWO, groups=[group("sg-1", *opened(80))])
    host.networks.hold(made)
    host.start(made)
    peer, gateway = host.peer("vpc-1", "eni-1"), str(made.vswitch("vsw-1").gateway)

    assert peer.ask("ping", gateway, 60.0) is not None
    with socket.create_server(("0.0.0.0", 0)) as listening:
        listening.setblocking(False)
        port = listening.getsockname()[1]
        for address in (gateway, "100.100.100.200", *addresses_of_the_host()):
            assert [peer.ask("tcp", address, one, 0.5) for one in (port, 22)] == [None] * 2, address
        with pytest.raises(BlockingIOError):
            listening.accept()


def addresses_of_the_host() -> list[str]:
    """Its own, and those by which others reach it."""
    told = json.loads(subprocess.check_output(["ip", "-json", "-4", "address"], text=True))
    return [one["local"] for link in told for one in link["addr_info"]]


def test_a_frame_in_anothers_name_arrives_nowhere(host):
    made = place(ONE, TWO, groups=[group("sg-1", *opened(80))])
    host.networks.hold(made)
    host.start(made)
    forger, victim = (host.peer("vpc-1", one.id) for one in (ONE, TWO))
    body = b"forged-bytes-in-there"
    from_mac = bytes.fromhex(ONE.mac.replace(":", ""))
    frames = [packet(mac=from_mac, source=bytes([172, 16, 1, 50]), body=body, protocol=17),
              packet(mac=b"\x00\x16\x3e\x00\x00\x02", body=body, protocol=17),
              packet(mac=from_mac, source=bytes([127, 0, 0, 1]), body=body, protocol=17),
              b"\xff" * 6 + from_mac + b"\x81\x00\x00\x01" + body, b"", bytes(3000)]  # fmt: skip
    for frame in frames:
        forger.ask("frame", frame.hex())
    # The cable keeps the order: when this has come through, they would have, too.
    assert host.reaches("vpc-1", "eni-1", TWO.address, 80, expected=True)
    assert host.reaches("vpc-1", "eni-1", TWO.address, 80, protocol="udp", expected=True)

    assert not [frame for frame in victim.ask("heard") if body.hex() in frame]


def test_what_the_keeper_runs_as_is_nobody_elses(host):
    host.networks.hold(place(ONE))
    with PlaceFolder(host.folder / "vpc-1").keeper() as process, Path(f"/proc/{process.pid}/status").open() as said:
        status = dict(line.rstrip("\n").split(":\t", 1) for line in said if ":\t" in line)

    rights = 1 << 10 | 1 << 12 | 1 << 13  # Ports, the network, frames: of its own namespace alone.
    assert int(status["CapEff"], 16) == rights
    assert status["NoNewPrivs"] == "1"
    assert os.geteuid() != 0 or status["Uid"].split()[0] != "0"


def test_what_its_keeper_cannot_carry_is_told(host):
    host.networks.hold(place(ONE))
    folder = PlaceFolder(host.folder / "vpc-1")
    kill_keeper(host)
    folder.alive.unlink()
    folder.alive.mkdir()
    with pytest.raises((NetworkUnusable, OSError)):
        host.networks.hold(place(ONE, revision=2))
    folder.alive.rmdir()
    host.networks.hold(place(ONE, revision=3))

    assert folder.is_carried()


def test_who_is_not_root_carries_networks_too_by_the_ports_that_can_be_had(host):
    """Unless ports below 1024 are for everybody here, another is listened on in place of one of them."""
    needs("unshare")
    said = """
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from kiln.networks.keepers import KeptNetworks
from tests.networks.places import *
networks = KeptNetworks(Path(sys.argv[1]))
networks.hold(place(interface(1), groups=[group("sg-1", *opened(22))], public={"eni-1": sys.argv[2]}))
print(networks.listening("vpc-1")[sys.argv[2]][22])
networks.let_go("vpc-1")
"""
    as_user = ["unshare", "--user", "--map-user=1000", "--map-group=1000", sys.executable, "-c", said]
    host.folder.mkdir()
    done = subprocess.run([*as_user, host.folder, public(8)], cwd=ROOT, capture_output=True, text=True, check=False)

    # Who may have port 22 has it, unless somebody else listens there on all addresses.
    least = int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text())
    assert done.stdout.split() in ([["22"], ["10022"]] if least <= 22 else [["10022"]]), done.stderr
