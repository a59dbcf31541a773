"""What a hostile guest can do by its cable: any bytes, to anybody, in anybody's name.

It has a way out, so all that a guest can have is open to it. Beside it are a victim in its own VPC that lets nobody
in, and one in another VPC that has the same addresses. Nothing of what is tried reaches anybody, or stops anything.
"""

from __future__ import annotations

import socket
import struct
from contextlib import contextmanager

import pytest

from kiln.networks.links import ROUTER_MAC
from kiln.networks.packets import checksum
from kiln.networks.placefolder import PlaceFolder
from tests.guests import open_reachable
from tests.networks.beyond import beyond
from tests.networks.host import FAR, HOST, HOST_AT_HOME, NEIGHBOUR
from tests.networks.peers import LIMIT_S
from tests.networks.places import group, interface, opened, place, public

pytestmark = pytest.mark.slow

HOSTILE, VICTIM, FLOODER = interface(1), interface(2, groups=("sg-2",)), interface(3)
ELSEWHERE = interface(2)
GATEWAY, METADATA = "172.16.1.253", "100.100.100.200"
MARK = b"hostile-bytes"
OF_THE_HOST = ("127.0.0.1", "127.0.0.53", "0.0.0.0", HOST, HOST_AT_HOME, "255.255.255.255", "9.9.9.255", "224.0.0.1")


@pytest.fixture(scope="module")
def there():
    with open_reachable() as folder, beyond(folder / "host") as made:
        groups = [group("sg-1", *opened(80)), group("sg-2", *opened(80, protocol="udp"), inner=False)]
        here = place(
            HOSTILE, VICTIM, FLOODER, vpc="vpc-here", groups=groups, public={"eni-1": public(40), "eni-3": public(42)}
        )
        there = place(ELSEWHERE, vpc="vpc-there", groups=[group("sg-1", *opened(80))], public={"eni-2": public(41)})
        made.guests = [*made.hold(here), *made.hold(there)]
        made.guests[0].ask("serve", 80, "hostile")
        yield made


def mac(of):
    return bytes.fromhex(of.mac.replace(":", ""))


def of_the_flooder(to, said, protocol):
    return framed(packet(to, said, protocol, source=FLOODER.address), source=FLOODER).hex()


def framed(packet, *, to=ROUTER_MAC, source=HOSTILE, kind=b"\x08\x00"):
    return to + mac(source) + kind + packet


def packet(to, said, protocol, *, source=HOSTILE.address, where=0, first=0x45, ttl=64, options=b""):
    """A packet of IPv4 with a right checksum."""
    sizes = (first, 0, 20 + len(options) + len(said), 77, where, ttl, protocol, 0)
    head = struct.pack("!BBHHHBBH4s4s", *sizes, socket.inet_aton(source), socket.inet_aton(to)) + options
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + said


def udp(port, *, source_port=4000, said=MARK):
    return struct.pack("!HHHH", source_port, port, 8 + len(said), 0) + said


def syn(to, port, *, source=HOSTILE.address, source_port=4001):
    head = struct.pack("!HHIIBBHHH", source_port, port, 7, 0, 0x50, 2, 65535, 0, 0) + MARK
    pseudo = socket.inet_aton(source) + socket.inet_aton(to) + struct.pack("!BBH", 0, 6, len(head))
    return head[:16] + struct.pack("!H", checksum(pseudo + head)) + head[18:]


def icmp(kind, code=0, rest=bytes(4), said=MARK):
    head = struct.pack("!BBH", kind, code, 0) + rest + said
    return head[:2] + struct.pack("!H", checksum(head)) + head[4:]


def arp(operation, sender, wanted, *, sender_mac=HOSTILE, to=b"\xff" * 6):
    body = struct.pack("!HHBBH6s4s6s4s", 1, 0x0800, 6, 4, operation, mac(sender_mac), socket.inet_aton(sender),
                       bytes(6), socket.inet_aton(wanted)) + MARK  # fmt: skip
    return framed(body, to=to, kind=b"\x08\x06")


def offer(address, **more):
    """An offer of DHCP, by which who takes it would have the hostile one as its router."""
    router = socket.inet_aton(HOSTILE.address)
    body = (
        struct.pack("!BBBBIHH", 2, 1, 6, 0, 1, 0, 0) + bytes(4) + socket.inet_aton(VICTIM.address) + router + bytes(4)
    )
    body += mac(VICTIM) + bytes(202) + bytes.fromhex("63825363") + b"\x35\x01\x02\x03\x04" + router + b"\xff" + MARK
    return framed(packet(address, udp(68, source_port=67, said=body), 17), **more)


def to_the_host():
    for address in OF_THE_HOST:
        for port in (80, 53, 443):
            yield framed(packet(address, syn(address, port), 6))
            yield framed(packet(address, udp(port), 17))
        yield framed(packet(address, icmp(8), 1))
    yield framed(packet("100.100.2.136", udp(80), 17))
    yield framed(packet("100.100.2.136", syn("100.100.2.136", 80), 6))
    # A network of the host's, and what its cloud tells it.
    for address in (NEIGHBOUR, "169.254.169.254", "100.100.100.201", "168.63.129.16"):
        yield framed(packet(address, udp(80), 17))
        yield framed(packet(address, syn(address, 80), 6))
    # Public addresses of others, which are of the host's loopback.
    for number in (40, 41):
        yield framed(packet(public(number), syn(public(number), 80), 6))


def in_others_names():
    for address in (VICTIM.address, GATEWAY, METADATA, HOST, "127.0.0.1", "0.0.0.0", FAR, "172.16.1.77"):
        for to in (VICTIM.address, METADATA, FAR, HOST):
            yield framed(packet(to, udp(80), 17, source=address))
            yield framed(packet(to, syn(to, 80, source=address), 6, source=address))
        yield arp(1, address, VICTIM.address)
        yield arp(2, address, VICTIM.address)
        yield arp(2, address, VICTIM.address, to=mac(VICTIM))
    yield arp(2, GATEWAY, VICTIM.address, sender_mac=VICTIM, to=mac(VICTIM))
    for to in (mac(VICTIM), b"\xff" * 6, bytes.fromhex("01005e000001")):
        yield framed(packet(VICTIM.address, udp(80), 17), to=to)
        yield offer("255.255.255.255", to=to)
    yield framed(packet(VICTIM.address, udp(80), 17), source=VICTIM)
    yield ROUTER_MAC + ROUTER_MAC + b"\x08\x00" + packet(VICTIM.address, udp(80), 17)
    yield offer(VICTIM.address)


def of_other_kinds():
    inner = packet(VICTIM.address, udp(80), 17)
    for kind in ("86dd", "8847", "8864", "88cc", "0000", "05dc", "888e"):
        yield framed(inner, kind=bytes.fromhex(kind))
    for tag in ("8100", "88a8", "9100"):
        yield framed(struct.pack("!HH", 1, 0x0800) + inner, kind=bytes.fromhex(tag))
    six = struct.pack("!IHBB", 6 << 28, 8 + len(MARK), 17, 64) + bytes(15) + b"\x01" + bytes(15) + b"\x01" + udp(80)
    yield framed(six, kind=b"\x86\xdd")
    yield framed(six, kind=b"\x86\xdd", to=bytes.fromhex("333300000001"))
    for to in (VICTIM.address, FAR, HOST):
        for protocol in (2, 4, 41, 47, 50, 89, 132, 255):
            yield framed(packet(to, inner, protocol))
        yield framed(packet(to, udp(80), 17, first=0x46, options=b"\x83\x07\x04" + socket.inet_aton(to) + b"\0"))
        yield framed(packet(to, udp(80), 17, ttl=0))
    for to in (VICTIM.address, GATEWAY):
        yield framed(packet(to, icmp(5, 1, socket.inet_aton(HOSTILE.address), inner), 1))
        yield framed(packet(to, icmp(13), 1))


def in_pieces():
    """Where the first piece looks harmless, and the port that is not open comes with the second."""
    for to in (VICTIM.address, HOST, FAR):
        whole = udp(9999, said=MARK * 4)
        yield framed(packet(to, whole[:8], 17, where=0x2000))
        yield framed(packet(to, whole[8:], 17, where=1))
        yield framed(packet(to, udp(80)[:8] + bytes(24), 17, where=0x2000))
        yield framed(packet(to, whole, 17, where=0x2000))
        yield framed(packet(to, whole[8:], 17, where=1))
        yield framed(packet(to, MARK * 50, 17, where=0x1FFF))
        yield framed(packet(to, syn(to, 80)[:8], 6, where=0x2000))


def too_long_and_too_short():
    whole = framed(packet(VICTIM.address, udp(80, said=MARK * 250), 17))
    yield from (whole, whole + bytes(60_000), b"", b"\0", whole[:14], whole[:33], framed(b"\x45" + bytes(19)))
    lying = packet(VICTIM.address, udp(80), 17)
    for length in (0, 19, 20, 27, 65535):
        yield framed(lying[:2] + struct.pack("!H", length) + lying[4:])
        away = packet(FAR, udp(80), 17)
        yield framed(away[:2] + struct.pack("!H", length) + away[4:])
    for length in (0, 7, 9000):
        yield framed(packet(FAR, struct.pack("!HHHH", 1, 80, length, 0) + MARK, 17))


@contextmanager
def untouched(there):
    """Whatever is done meanwhile, it arrives nowhere, and all go on."""
    hostile, victim, _, elsewhere = there.guests
    with PlaceFolder(there.folder / "vpc-here").keeper() as before:
        number, egress = before.pid, there.host.ask("egress", "vpc-here")
    had = there.host.ask("came")
    yield
    # The cable and the line keep their order: what came through by these would have come before.
    assert victim.ask("tcp", HOSTILE.address, 80, LIMIT_S) == f"hostile {VICTIM.address}"
    assert hostile.ask("tcp", FAR, 80, LIMIT_S) == f"far {FAR} {HOST}"
    assert there.host.ask("came") == had
    for other in (victim, elsewhere):
        assert [frame for frame in other.ask("heard") if MARK.hex() in frame] == []
    with PlaceFolder(there.folder / "vpc-here").keeper() as after:
        assert (after.pid, there.host.ask("egress", "vpc-here")) == (number, egress)


@pytest.mark.parametrize("attack", [to_the_host, in_others_names, of_other_kinds, in_pieces, too_long_and_too_short])
def test_nothing_of_it_arrives(there, attack):
    hostile, *_ = there.guests
    frames = list(attack())
    assert len(frames) > 10
    with untouched(there):
        for frame in frames:
            hostile.ask("frame", frame.hex())


def test_what_is_open_arrives(there):
    """So that the others would be seen to arrive."""
    hostile, victim, *_ = there.guests
    hostile.ask("frame", framed(packet(VICTIM.address, udp(80, said=b"open-bytes"), 17)).hex())
    assert hostile.ask("connect", VICTIM.address, 81, 1.0) == "silence"

    assert [frame for frame in victim.ask("heard") if b"open-bytes".hex() in frame]


def test_nobody_is_told_what_is_anothers(there):
    hostile, _, _, elsewhere = there.guests
    assert there.host.ask("asked", 0.1) is None
    for address in (VICTIM.address, "172.16.1.77", "127.0.0.1"):
        hostile.ask("frame", framed(packet(METADATA, syn(METADATA, 80, source=address), 6, source=address)).hex())
    hostile.begin("connect", METADATA, 80, LIMIT_S)
    assert there.host.ask("asked", LIMIT_S) == ["vpc-here", "eni-1"]
    assert hostile.hear() == "connected"
    elsewhere.begin("connect", METADATA, 80, LIMIT_S)
    assert there.host.ask("asked", LIMIT_S) == ["vpc-there", "eni-2"]
    assert elsewhere.hear() == "connected"

    assert there.host.ask("asked", 0.1) is None


@pytest.mark.parametrize("what", ["to nobody", "to another", "beyond", "questions"])
def test_one_that_floods_keeps_nobody_from_anything(there, what):
    hostile, victim, flooder, elsewhere = there.guests
    ports = range(1000, 3000)
    frames = {
        "to nobody": [of_the_flooder("172.16.1.77", udp(80, said=MARK * 100), 17), bytes(1500).hex()],
        "to another": [of_the_flooder(VICTIM.address, udp(80, said=b"x" * 1400), 17)],
        "beyond": [of_the_flooder(FAR, udp(80, source_port=port), 17) for port in ports]
        + [of_the_flooder(FAR, syn(FAR, 7, source=FLOODER.address, source_port=port), 6) for port in ports],
        "questions": [
            of_the_flooder(METADATA, syn(METADATA, 80, source=FLOODER.address, source_port=port), 6) for port in ports
        ],
    }[what]
    with untouched(there):
        flooder.ask("storm", frames, True)
        try:
            for other in (elsewhere, hostile):
                assert other.ask("send_back", FAR, 443, 1 << 20, LIMIT_S)
            assert victim.ask("tcp", HOSTILE.address, 80, LIMIT_S) == f"hostile {VICTIM.address}"
        finally:
            assert int(flooder.ask("storm", [], False)) > 100
