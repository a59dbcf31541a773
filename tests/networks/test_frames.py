"""What a guest puts on its cable: what is its own goes on, what is a question is answered, all else goes nowhere."""

from __future__ import annotations

import struct
from ipaddress import IPv4Address, IPv4Network

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kiln.networks.frames import LEAVES, LONGEST, NOTHING, ON, Gate
from kiln.networks.links import ROUTER_MAC
from kiln.networks.packets import checksum

MAC, OTHER_MAC = bytes.fromhex("00163e000001"), bytes.fromhex("00163e000002")
OWN, OTHER, GATEWAY = (IPv4Address(one).packed for one in ("172.16.1.11", "172.16.1.12", "172.16.1.253"))
NETWORK, VPC = IPv4Network("172.16.1.0/24"), IPv4Network("172.16.0.0/16")
GATE = Gate("00:16:3e:00:00:01", IPv4Address(OWN), NETWORK, IPv4Address(GATEWAY), VPC)


def packet(
    *, to=ROUTER_MAC, mac=MAC, source=OWN, first=0x45, kind=b"\x08\x00", body=b"x" * 20, protocol=6, more=0, to_ip=OTHER
):
    head = struct.pack("!BBHHHBBH4s4s", first, 0, 20 + len(body) + more, 0, 0, 64, protocol, 0, source, to_ip)
    return to + mac + kind + head + body


def arp(wanted, *, sender=OWN, sender_mac=MAC, operation=1):
    body = struct.pack("!HHBBH6s4s6s4s", 1, 0x0800, 6, 4, operation, sender_mac, sender, bytes(6), wanted)
    return b"\xff" * 6 + MAC + b"\x08\x06" + body


def dhcp(kind, *options, mac=MAC, flags=0):
    body = struct.pack("!BBBBIHH", 1, 1, 6, 0, 0x1234, 0, flags) + bytes(16) + mac + bytes(10 + 192)
    body += bytes.fromhex("63825363") + bytes([53, 1, kind]) + b"".join(options) + b"\xff"
    udp = struct.pack("!HHHH", 68, 67, 8 + len(body), 0)
    return packet(to=b"\xff" * 6, source=bytes(4), protocol=17, body=udp + body)


def test_its_own_packets_go_on():
    assert GATE.judge(packet()) == ON
    assert GATE.judge(packet() + bytes(10)) == ON


def test_what_is_for_somebody_beyond_leaves():
    for one in ("8.8.8.8", "172.17.0.1", "127.0.0.1", "100.100.2.136", "255.255.255.255"):
        assert GATE.judge(packet(to_ip=IPv4Address(one).packed)) == LEAVES
    assert GATE.judge(packet(to_ip=IPv4Address("100.100.100.200").packed)) == ON
    assert GATE.judge(packet(to_ip=IPv4Address("8.8.8.8").packed, source=OTHER)) == NOTHING


@pytest.mark.parametrize(
    "frame",
    [
        b"", packet()[:33], packet(body=bytes(LONGEST)), packet(mac=OTHER_MAC), packet(source=OTHER),
        packet(source=GATEWAY), packet(source=bytes(4)), packet(to=OTHER_MAC), packet(to=b"\xff" * 6),
        packet(first=0x46, body=bytes(40)), packet(first=0x65), packet(more=1),
        *[packet(kind=bytes.fromhex(kind)) for kind in ("86dd", "8100", "88a8", "8847", "8864", "0000", "05dc")],
        arp(OTHER, sender=OTHER), arp(OTHER, sender_mac=OTHER_MAC), arp(OTHER, operation=2), arp(OWN),
        arp(OTHER)[:41], arp(IPv4Address("8.8.8.8").packed),
        dhcp(1, mac=OTHER_MAC), dhcp(3, bytes([54, 4]) + OTHER), dhcp(7), dhcp(1)[:200],
    ],
)  # fmt: skip
def test_what_is_not_its_own_goes_nowhere(frame):
    assert GATE.judge(frame) == NOTHING


@pytest.mark.parametrize("wanted", [OTHER, GATEWAY, IPv4Address("172.16.1.99").packed])
def test_whoever_it_looks_for_is_behind_the_router(wanted):
    answer = GATE.judge(arp(wanted)).answer

    assert answer[:14] == MAC + ROUTER_MAC + b"\x08\x06"
    assert answer[20:42] == b"\x00\x02" + ROUTER_MAC + wanted + MAC + OWN


def told(answer):
    """The kind of a DHCP answer, the address in it, and its options."""
    assert checksum(answer[14:34]) == 0
    body, options = answer[42:], {}
    rest = body[240:]
    while rest[0] != 255:
        options[rest[0]], rest = rest[2 : 2 + rest[1]], rest[2 + rest[1] :]
    return options[53][0], body[16:20], options


def test_it_is_leased_its_address_and_no_other():
    assert told(GATE.judge(dhcp(1)).answer)[:2] == (2, OWN)
    kind, own, options = told(GATE.judge(dhcp(3, bytes([50, 4]) + OWN, bytes([54, 4]) + GATEWAY)).answer)
    assert (kind, own) == (5, OWN)
    assert (options[1], options[3], options[26]) == (IPv4Address("255.255.255.0").packed, GATEWAY, b"\x05\xdc")
    assert told(GATE.judge(dhcp(3, bytes([50, 4]) + OTHER)).answer)[:2] == (6, bytes(4))
    assert told(GATE.judge(dhcp(8)).answer)[0] == 5


def test_it_is_told_what_goes_through_to_other_hosts():
    gate = Gate(MAC.hex(":"), IPv4Address(OWN), NETWORK, IPv4Address(GATEWAY), VPC)
    gate.mtu = 1450

    assert told(gate.judge(dhcp(1)).answer)[2][26] == b"\x05\xaa"


def test_a_lease_comes_to_all_where_that_was_asked_for():
    assert GATE.judge(dhcp(1, flags=0x8000)).answer[30:34] == b"\xff" * 4
    assert GATE.judge(dhcp(1)).answer[30:34] == OWN


@settings(deadline=None)
@given(st.one_of(st.binary(max_size=400), st.builds(lambda n, b: dhcp(1)[:n] + b, st.integers(14, 330), st.binary())))
def test_no_bytes_break_it(frame):
    judged = GATE.judge(frame)

    assert not judged.on or (frame[6:12] == MAC and frame[26:30] == OWN)


def test_only_its_own_ipv4_comes_to_the_guest():
    assert GATE.for_guest(packet(to=MAC))
    assert not GATE.for_guest(packet(to=OTHER_MAC))
    assert not GATE.for_guest(packet(to=MAC, kind=b"\x86\xdd"))
