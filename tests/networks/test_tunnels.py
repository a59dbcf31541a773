"""VPCs that several hosts carry: who reaches whom, and whom nobody who is on the wire can make believe anything."""

from __future__ import annotations

import struct
from dataclasses import replace

import pytest

from kiln.networks import vxlan
from kiln.networks.keepers import KeptNetworks
from kiln.networks.placefolder import PlaceFolder
from kiln.networks.trying import why_not_joined
from kiln.networks.values import Far, Tunnel
from tests.guests import open_reachable
from tests.networks.lan import WIRE, address_of
from tests.networks.lans import NUMBER, PORT, end_of, lan, part_of
from tests.networks.peers import BRIEF_S, LIMIT_S
from tests.networks.places import group, interface, opened, place
from tests.networks.test_hostile import MARK, packet, udp
from tests.pools.kills import killed_at
from tests.tools import lacks

pytestmark = pytest.mark.slow

ONE, TWO, THREE = interface(1), interface(2), interface(3, groups=("sg-2",))


@pytest.fixture
def hosts():
    with open_reachable() as folder, lan(folder / "lan", 3) as made:
        yield made


def test_guests_of_two_hosts_reach_each_other_as_their_groups_have_it(hosts):
    closed = opened(7001, direction="egress", policy="drop")
    whole = place(ONE, TWO, THREE, groups=[group("sg-1", *closed), group("sg-2", *opened(80))])
    assert hosts.spread(whole, {"eni-1": 1, "eni-2": 2, "eni-3": 2}) == ["", ""]
    one, two, three = hosts.serve(1, ONE, 7000), hosts.serve(2, TWO, 7000, 7001), hosts.serve(2, THREE, 80, 7000)

    assert one.ask("tcp", TWO.address, 7000, LIMIT_S) == f"eni-2@2 {ONE.address}"
    assert two.ask("udp", ONE.address, 7000, LIMIT_S) == f"eni-1@1 {TWO.address}"
    assert one.ask("ping", TWO.address, LIMIT_S) is not None
    assert one.ask("tcp", THREE.address, 80, LIMIT_S) == f"eni-3@2 {ONE.address}"
    assert one.ask("tcp", THREE.address, 7000, BRIEF_S) is None
    assert one.ask("tcp", TWO.address, 7001, BRIEF_S) is None
    assert three.ask("tcp", ONE.address, 7000, BRIEF_S) is None


def test_an_interface_that_moves_is_reached_where_it_is(hosts):
    whole = place(ONE, TWO)
    hosts.spread(whole, {"eni-1": 1, "eni-2": 2})
    one = hosts.serve(1, ONE, 7000)
    hosts.serve(2, TWO, 7000)
    assert one.ask("tcp", TWO.address, 7000, LIMIT_S) == f"eni-2@2 {ONE.address}"

    for host in (3, 1, 2):  # To another, to its peer's own, and back.
        whole = replace(whole, revision=whole.revision + 1)
        assert hosts.spread(whole, {"eni-1": 1, "eni-2": host}) == [""] * len(hosts.places)
        hosts.leave(host, TWO)
        two = hosts.serve(host, TWO, 7000)
        assert one.ask("tcp", TWO.address, 7000, LIMIT_S) == f"eni-2@{host} {ONE.address}"
        assert two.ask("tcp", ONE.address, 7000, LIMIT_S) == f"eni-1@1 {TWO.address}"


def test_a_keeper_that_was_killed_is_joined_again(hosts):
    hosts.spread(place(ONE, TWO), {"eni-1": 1, "eni-2": 2})
    one = hosts.serve(1, ONE, 7000)
    two = hosts.serve(2, TWO, 7000)
    for host in (1, 2):
        hosts.ask(host, "kill_keeper", "vpc-1")
        assert hosts.ask(host, "revive") == ["vpc-1"]

    assert one.ask("tcp", TWO.address, 7000, LIMIT_S) == f"eni-2@2 {ONE.address}"
    assert two.ask("tcp", ONE.address, 7000, LIMIT_S) == f"eni-1@1 {TWO.address}"


def test_a_host_whose_address_changes_is_joined_again(hosts):
    whole, where = place(ONE, TWO), {"eni-1": 1, "eni-2": 2}
    hosts.spread(whole, where)
    one = hosts.serve(1, ONE, 7000)
    hosts.serve(2, TWO, 7000)
    hosts.ask(2, "ip", "addr", "del", f"{address_of(2)}/24", "dev", "h0")
    hosts.ask(2, "ip", "addr", "add", "10.7.0.22/24", "dev", "h0")
    moved = f"10.7.0.22:{PORT}"
    for host in (1, 2):
        made = part_of(replace(whole, revision=2), where, host)
        tunnel = replace(made.tunnel, end=moved) if host == 2 else made.tunnel
        far = tuple(replace(one, end=moved) if host == 1 else one for one in tunnel.far)
        assert hosts.hold(host, replace(made, tunnel=replace(tunnel, far=far))) == ""

    assert one.ask("tcp", TWO.address, 7000, LIMIT_S) == f"eni-2@2 {ONE.address}"


def test_long_packets_go_through_of_guests_that_heed_no_smaller_size(hosts):
    hosts.spread(place(ONE, TWO), {"eni-1": 1, "eni-2": 2})
    hosts.guest(2, TWO).ask("measured")

    assert hosts.guest(1, ONE).ask("seconds_to_send", TWO.address, 9, 1 << 20) > 0


def test_vpcs_with_the_same_addresses_do_not_meet_between_hosts(hosts):
    for vpc, number in (("vpc-1", NUMBER), ("vpc-2", NUMBER + 1)):
        whole = place(ONE, TWO, vpc=vpc)
        for host in (1, 2):
            hosts.places[host] = made = part_of(whole, {"eni-1": 1, "eni-2": 2}, host, number)
            assert hosts.hold(host, made) == ""
        if vpc == "vpc-1":
            hosts.serve(2, TWO, 7000)
    # Of the second VPC nobody serves.
    assert hosts.guest(1, ONE).ask("connect", TWO.address, 7000, BRIEF_S) != "connected"


def wrapped(inner, *, source, number=NUMBER, end=1):
    """A datagram of VXLAN, of an inner packet from the host whose MAC is told."""
    frame = vxlan.mac_of(end_of(end)) + vxlan.mac_of(source) + b"\x08\x00" + inner
    return (struct.pack("!II", 0x08000000, number << 8) + frame).hex()


def test_what_comes_from_nobody_known_arrives_nowhere(hosts):
    whole = place(ONE, TWO, THREE, groups=[group("sg-1"), group("sg-2")])
    hosts.spread(whole, {"eni-1": 1, "eni-2": 2, "eni-3": 3})
    victim = hosts.guest(1, ONE)
    own, other = packet(ONE.address, udp(9), 17, source=TWO.address), b"\x60" + bytes(39) + MARK
    hosts.ask(0, "ip", "addr", "add", "10.7.0.99/24", "dev", "wire")

    def heard():
        return sum(MARK.hex() in one for one in victim.ask("heard"))

    def send(host, source, datagram):
        return hosts.ask(host, "send", source, address_of(1), PORT, datagram)

    hostile = [
        # Somebody on the wire, in the name of a host, of nobody, and of the victim's own.
        *((0, WIRE, wrapped(own, source=end_of(2))), (0, "10.7.0.99", wrapped(own, source="10.7.0.99:4789"))),
        *((0, WIRE, wrapped(own, source=end_of(1))), (0, WIRE, wrapped(other, source=end_of(2)))),
        # A host of the VPC, in the name of another's interface, of another host, of a gateway, of the victim.
        (3, address_of(3), wrapped(own, source=end_of(3))),
        (3, address_of(3), wrapped(own, source=end_of(2))),
        (3, address_of(3), wrapped(packet(ONE.address, udp(9), 17, source="172.16.1.253"), source=end_of(3))),
        (3, address_of(3), wrapped(packet(ONE.address, udp(9), 17, source=ONE.address), source=end_of(3))),
        # Another VPC's number.
        (2, address_of(2), wrapped(own, source=end_of(2), number=NUMBER + 1)),
    ]
    for host, source, datagram in hostile:
        assert send(host, source, datagram) is None
    # The wire keeps the order: when this has come, the others would have, too. It is what the other host itself sends.
    assert send(2, address_of(2), wrapped(own, source=end_of(2))) is None
    hosts.serve(2, TWO, 7000)
    assert victim.ask("tcp", TWO.address, 7000, LIMIT_S) == f"eni-2@2 {ONE.address}"

    assert heard() == 1


def test_a_guest_sends_nothing_to_where_hosts_hear_each_other(hosts):
    hosts.spread(place(ONE, TWO), {"eni-1": 1, "eni-2": 2})
    guest = hosts.guest(1, ONE)
    for port, is_heard in ((PORT, False), (4799, False), (4800, True)):
        hosts.ask(0, "listen", WIRE, port)
        guest.begin("udp", WIRE, port, BRIEF_S)
        heard = hosts.ask(0, "heard", LIMIT_S if is_heard else BRIEF_S)
        guest.hear()
        assert (heard is not None) == is_heard, port


def test_a_thousand_interfaces_elsewhere_are_reached(hosts):
    there = [
        Far(id=f"eni-{n}", address=f"172.16.{8 + n // 200}.{1 + n % 200}", groups=("sg-1",), end=end_of(2 + n % 2))
        for n in range(100, 1100)
    ]
    whole, where = place(ONE, TWO), {"eni-1": 1, "eni-2": 2}
    hosts.spread(whole, where)
    mine = part_of(replace(whole, revision=2), where, 1)
    mine = replace(mine, tunnel=replace(mine.tunnel, far=(*mine.tunnel.far, *there)))
    assert hosts.hold(1, mine) == ""
    hosts.serve(2, TWO, 7000)

    assert hosts.guest(1, ONE).ask("tcp", TWO.address, 7000, LIMIT_S) == f"eni-2@2 {ONE.address}"


def test_a_tunnel_that_cannot_be_made_is_told_and_the_rest_is_carried(hosts):
    whole, where = place(ONE, TWO, interface(4)), {"eni-1": 1, "eni-2": 2, "eni-4": 1}
    hosts.ask(1, "ip", "link", "add", "taken", "type", "vxlan", "id", str(NUMBER), "dstport", str(PORT))
    said = hosts.hold(1, part_of(whole, where, 1))
    four = interface(4)
    hosts.serve(1, four, 7000)

    assert said == "NetworkApart: vpc-1 is apart from what other hosts carry of it: no tunnel can be made: File exists."
    assert hosts.guest(1, ONE).ask("tcp", four.address, 7000, LIMIT_S) == f"eni-4@1 {ONE.address}"
    hosts.ask(1, "ip", "link", "del", "taken")
    hosts.hold(2, part_of(whole, where, 2))
    assert hosts.hold(1, part_of(replace(whole, revision=2), where, 1)) == ""
    hosts.serve(2, TWO, 7000)
    assert hosts.guest(1, ONE).ask("tcp", TWO.address, 7000, LIMIT_S) == f"eni-2@2 {ONE.address}"


def test_a_call_that_was_killed_while_it_made_a_tunnel_is_made_again():
    end = f"127.0.0.1:{PORT + 1}"
    if why := why_not_joined(end, 1450):
        lacks(why)
    far = Far(id="eni-2", address=TWO.address, groups=("sg-1",), end="127.0.0.1:4791")
    made = replace(place(ONE), tunnel=Tunnel(number=0xFE0000, end=end, mtu=1450, far=(far,)))
    with open_reachable() as folder:
        networks, number = KeptNetworks(folder / "networks"), 0
        while killed_at(number, lambda: KeptNetworks(folder / "networks").hold(made)):
            networks.hold(made)
            assert PlaceFolder(folder / "networks" / "vpc-1").is_carried()
            networks.let_go("vpc-1")
            number += 1
        networks.let_go("vpc-1")
    assert number > 6
