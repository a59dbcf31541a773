"""The way out: whom guests reach beyond their VPC, what they meet there, and what a hostile one takes from others."""

from __future__ import annotations

import os
import subprocess
import sys
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from kiln.networks.errors import NetworkInvalid
from kiln.networks.keepers import KeptNetworks
from kiln.networks.leaving import MOST_OF_ONE
from kiln.networks.placefolder import PlaceFolder, holder_of
from kiln.networks.wayout import Resolvers, WayOut
from tests.guests import open_reachable
from tests.networks.beyond import beyond
from tests.networks.host import FAR, HOST, HOST_AT_HOME, NEIGHBOUR, RESOLVER
from tests.networks.peers import BRIEF_S, LIMIT_S
from tests.networks.places import group, interface, opened, place, public

slow = [pytest.mark.slow]
ONE, TWO = interface(1), interface(2)
ROOT = Path(__file__).parents[2]


def in_test(*marks):
    return lambda test: [test := mark(test) for mark in (*slow, *marks)][-1]


@pytest.fixture(scope="module")
def outside():
    """One host for all tests of this module; each has a VPC of its own."""
    with open_reachable() as folder, beyond(folder / "host") as made:
        yield made


def addressed(vpc, number, *, groups=None, revision=1, inner=()):
    """A VPC whose first guest has a public address."""
    addresses = {"eni-1": public(number)} if number else {}
    return place(ONE, *inner, vpc=vpc, groups=groups, public=addresses, revision=revision)


@in_test()
def test_a_guest_reaches_what_is_beyond_by_every_protocol(outside):
    (guest,) = outside.hold(addressed("vpc-all", 20))

    assert guest.ask("tcp", FAR, 80, LIMIT_S) == f"far {FAR} {HOST}"
    assert guest.ask("udp", FAR, 80, LIMIT_S) == f"far {FAR} {HOST}"
    assert guest.ask("ping", FAR, LIMIT_S) is not None
    for one in ("100.100.2.136", "100.100.2.138"):
        assert guest.ask("udp", one, 53, LIMIT_S) == f"far {RESOLVER} {HOST}"
        assert guest.ask("tcp", one, 53, LIMIT_S) == f"far {RESOLVER} {HOST}"
    assert guest.ask("send_back", FAR, 443, 8 << 20, LIMIT_S)


@in_test()
def test_it_meets_what_it_would_meet_there(outside):
    (guest,) = outside.hold(addressed("vpc-meet", 21))

    assert guest.ask("connect", FAR, 80, LIMIT_S) == "connected"
    assert guest.ask("connect", FAR, 81, LIMIT_S) == "ECONNREFUSED"
    assert guest.ask("connect", "100.100.2.136", 80, LIMIT_S) == "EHOSTUNREACH"


@in_test()
def test_of_the_host_and_its_networks_it_reaches_nothing(outside):
    (guest,) = outside.hold(addressed("vpc-host", 22))

    own = (HOST, HOST_AT_HOME, "255.255.255.255")
    of_the_cloud = ("169.254.169.254", "168.63.129.16", "100.100.100.201")
    for address in (*own, *of_the_cloud, NEIGHBOUR, "9.9.9.255", "224.0.0.1"):
        for port in (80, 53):
            assert guest.ask("connect", address, port, BRIEF_S) in ("EHOSTUNREACH", "ENETUNREACH", "silence"), address
    assert guest.ask("udp", HOST, 80, BRIEF_S) is None
    assert guest.ask("udp", HOST_AT_HOME, 53, BRIEF_S) is None
    assert guest.ask("ping", HOST, BRIEF_S) is None
    assert guest.ask("connect", FAR, 25, LIMIT_S) == "EHOSTUNREACH"


@in_test()
def test_it_has_its_way_out_as_long_as_it_has_a_public_address(outside):
    (guest,) = outside.hold(addressed("vpc-none", None))
    assert guest.ask("connect", FAR, 80, LIMIT_S) == "EHOSTUNREACH"
    assert guest.ask("udp", "100.100.2.136", 53, BRIEF_S) is None

    outside.hold(addressed("vpc-none", 23, revision=2))
    assert guest.ask("connect", FAR, 80, LIMIT_S) == "connected"
    assert guest.ask("flood", FAR, 7, 3, 3, LIMIT_S) == 3
    egress = outside.host.ask("egress", "vpc-none")
    assert egress is not None

    outside.hold(addressed("vpc-none", None, revision=3))
    assert guest.ask("connect", FAR, 80, LIMIT_S) == "EHOSTUNREACH"
    with PlaceFolder(outside.folder / "vpc-none").keeper() as keeper:
        assert keeper is not None


@in_test()
def test_rules_of_its_groups_count_on_its_way_out(outside):
    rules = [
        *opened(80, direction="egress", policy="drop"),
        *opened(53, protocol="udp", direction="egress", policy="drop"),
    ]
    (guest,) = outside.hold(addressed("vpc-rule", 24, groups=[group("sg-1", *rules)]))

    assert guest.ask("send_back", FAR, 443, 10, LIMIT_S)
    assert guest.ask("connect", FAR, 80, BRIEF_S) == "silence"
    assert guest.ask("udp", "100.100.2.136", 53, BRIEF_S) is None
    assert guest.ask("udp", FAR, 80, LIMIT_S) == f"far {FAR} {HOST}"


@in_test()
def test_one_that_begins_thousands_of_connections_takes_none_from_others(outside):
    made = place(ONE, TWO, vpc="vpc-many", public={"eni-1": public(25), "eni-2": public(26)})
    hostile, other = outside.hold(made)

    assert hostile.ask("flood", FAR, 7, 3000, MOST_OF_ONE, LIMIT_S) >= MOST_OF_ONE
    assert outside.host.ask("sockets_of", outside.host.ask("egress", "vpc-many")) <= 2 * MOST_OF_ONE + 10
    assert other.ask("send_back", FAR, 443, 1 << 20, LIMIT_S)
    assert other.ask("udp", FAR, 80, LIMIT_S) == f"far {FAR} {HOST}"

    hostile.ask("end_flood")
    assert hostile.ask("connect", FAR, 80, LIMIT_S) == "connected"


@in_test()
def test_a_killed_egress_is_started_anew_and_takes_nothing_else_along(outside):
    made = place(ONE, TWO, vpc="vpc-kill", public={"eni-1": public(27)})
    guest, other = outside.hold(made)
    other.ask("serve", 80, "neighbour")
    assert guest.ask("connect", FAR, 80, LIMIT_S) == "connected"

    outside.host.ask("kill_egress", "vpc-kill")
    assert guest.ask("connect", FAR, 80, BRIEF_S) == "silence"
    assert guest.ask("tcp", TWO.address, 80, LIMIT_S) == f"neighbour {ONE.address}"
    with PlaceFolder(outside.folder / "vpc-kill").keeper() as before:
        assert outside.host.ask("revive") == ["vpc-kill"]
    with PlaceFolder(outside.folder / "vpc-kill").keeper() as after:
        assert before.pid == after.pid

    assert guest.ask("tcp", FAR, 80, LIMIT_S) == f"far {FAR} {HOST}"


@in_test()
def test_where_the_operator_lets_guests_go_they_go_whatever_ran_before():
    with open_reachable() as folder, beyond(folder / "host", f"{NEIGHBOUR[:-1]}0/24", is_for_all=True) as host:
        made = place(ONE, vpc="vpc-home")
        (guest,) = host.hold(made)
        assert guest.ask("tcp", NEIGHBOUR, 80, LIMIT_S) == f"far {NEIGHBOUR} {HOST_AT_HOME}"
        assert guest.ask("connect", HOST_AT_HOME, 80, LIMIT_S) == "EHOSTUNREACH"
        assert guest.ask("connect", FAR, 80, LIMIT_S) == "EHOSTUNREACH"

        host.host.ask("again", "public", str(host.resolver))
        host.hold(addressed("vpc-home", 28))
        assert guest.ask("connect", NEIGHBOUR, 80, LIMIT_S) == "EHOSTUNREACH"
        assert guest.ask("connect", FAR, 80, LIMIT_S) == "connected"

        host.host.ask("again", "off", str(host.resolver))
        host.hold(addressed("vpc-home", 28))
        assert guest.ask("connect", FAR, 80, LIMIT_S) == "EHOSTUNREACH"


@in_test()
def test_what_an_egress_runs_as_has_no_rights_and_is_closed_to_the_keeper():
    with open_reachable() as folder:
        networks = KeptNetworks(folder / "networks", way_out=WayOut(to="public", is_for_all=True))
        networks.hold(place(ONE))
        try:
            pid = holder_of(folder / "networks/vpc-1/egress")
            status = dict(
                line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line
            )
            assert status["NoNewPrivs"] == "1"
            # What is not dumpable belongs to root, and is traced by nobody else.
            assert Path(f"/proc/{pid}/fd").stat().st_uid == 0
            if os.geteuid() == 0:
                assert int(status["CapEff"], 16) == 0
                assert status["Uid"].split()[0] != "0"
        finally:
            networks.let_go("vpc-1")


ASKED = """
import sys
from pathlib import Path
from kiln.networks import egress, line
from kiln.networks.polling import Poll
from kiln.networks.wayout import WayOut

poll, (own, far), said = Poll(), line.pair(), []
one = egress.Egress(poll, far, WayOut(to="public", resolver=Path(sys.argv[1])))
keeper = line.Line(poll, own, lambda word, *_: said.append(word), lambda _: None)
sys.path.clear()
sys.path_importer_cache.clear()
keeper.say(line.SEND, 1, line.WHOM.pack(bytes([100, 100, 2, 136]), 53) + b"?")
keeper.say(line.BEGIN, 2, line.WHOM.pack(bytes([127, 0, 0, 1]), 80))
while line.FORBIDDEN not in said:
    poll.turn(60)
"""


@pytest.mark.parametrize("resolver", ["127.0.0.1", "::1", "fe80::1%lo", "ns.example.com", "ä", ""])
def test_needs_nothing_from_pythons_folders_while_it_serves(tmp_path, resolver):
    """Where only root may read those, every name that a guest asked for ended the egress and all that went by it."""
    (tmp_path / "resolv.conf").write_text(f"nameserver {resolver}\n")

    done = subprocess.run(
        [sys.executable, "-c", ASKED, tmp_path / "resolv.conf"], capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr


OLDER = """
import fcntl, os, socket, sys
from kiln.networks import spoken
lock = os.open(sys.argv[1] + "/alive", os.O_CREAT | os.O_RDWR)
fcntl.lockf(lock, fcntl.LOCK_EX)
control = socket.socket(socket.AF_UNIX)
control.bind(sys.argv[1] + "/control")
control.listen()
print("up", flush=True)
while True:
    connection, _ = control.accept()
    spoken.hear(connection)
    spoken.say(connection, {"has": []})
"""


@in_test()
def test_a_keeper_that_an_older_kiln_left_behind_gives_way():
    with open_reachable() as folder:
        networks = KeptNetworks(folder / "networks", confined=False)
        (folder / "networks/vpc-1").mkdir(parents=True)
        words = [sys.executable, "-c", OLDER, str(folder / "networks/vpc-1")]
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, cwd=ROOT) as older:
            assert older.stdout.readline() == "up\n"
            networks.hold(place(ONE))
            try:
                assert older.wait(300) == -9
                assert PlaceFolder(folder / "networks/vpc-1").is_carried()
            finally:
                networks.let_go("vpc-1")


@pytest.mark.parametrize("to", ["", "public,", "Public", "on", "10.0.0.1/8", "10.0.0.0", "off,public", "::/0", ","])
def test_what_is_no_way_out_is_refused(to):
    with pytest.raises(NetworkInvalid):
        WayOut(to=to)


@pytest.mark.parametrize(
    ("to", "reached", "not_reached"),
    [
        ("off", [], ["8.8.8.8", "10.0.0.1"]),
        ("public", ["8.8.8.8", "172.15.0.1", "172.32.0.1", "100.63.0.1", "223.5.5.5"],
         ["10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.0.1", "100.64.0.1", "198.18.0.1", "127.0.0.1", "0.1.2.3",
          "169.254.169.254", "168.63.129.16", "100.100.100.200", "224.0.0.1", "255.255.255.255", "240.0.0.1"]),
        ("10.1.0.0/16", ["10.1.2.3"], ["10.2.0.1", "8.8.8.8"]),
        ("public,10.1.0.0/16", ["10.1.2.3", "8.8.8.8"], ["10.2.0.1"]),
        ("0.0.0.0/0", ["10.0.0.1", "8.8.8.8", "100.100.100.201"],
         ["127.0.0.1", "169.254.169.254", "100.100.100.200", "168.63.129.16"]),
    ],
)  # fmt: skip
def test_what_the_host_has_for_itself_is_reached_by_no_setting(to, reached, not_reached):
    way_out = WayOut(to=to)

    assert [one for one in reached if not way_out.lets(IPv4Address(one), 80)] == []
    assert [one for one in not_reached if way_out.lets(IPv4Address(one), 80)] == []
    assert not way_out.lets(IPv4Address("8.8.8.8"), 25)
    # Where hosts hear each other, and believe what comes from one of them.
    assert not any(way_out.lets(IPv4Address(one), port, by_udp=True) for one in reached for port in (4789, 4799))
    assert all(way_out.lets(IPv4Address(one), port, by_udp=True) for one in reached for port in (4788, 4800))


def test_names_are_asked_of_the_hosts_resolvers_as_they_are_by_then(tmp_path):
    file = tmp_path / "resolv.conf"
    resolvers = Resolvers(file)
    assert resolvers.behind("100.100.2.136") is None

    file.write_text("nameserver 192.168.1.1\nsearch here\nnameserver fe80::1%eth0\n")
    assert (resolvers.behind("100.100.2.136"), resolvers.behind("100.100.2.138")) == ("192.168.1.1", "fe80::1%eth0")

    file.write_text("nameserver 127.0.0.53\n")
    os.utime(file, ns=(1, 1))
    assert (resolvers.behind("100.100.2.136"), resolvers.behind("100.100.2.138")) == ("127.0.0.53", "127.0.0.53")
