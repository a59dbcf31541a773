"""Packets that guests send and are answered with: read without trust, and whole by every checksum."""

from __future__ import annotations

import struct
from ipaddress import IPv4Address

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kiln.networks.links import MTU
from kiln.networks.packets import ICMP, TCP, UDP, Packet, answers, checksum, packet_in, prohibition, refusal
from tests.networks.test_frames import OWN, packet

FAR = IPv4Address("8.8.8.8").packed
SYN = struct.pack("!HHIIBBHHH", 4000, 80, 7, 0, 0x50, 2, 65535, 0, 0)
ECHO = b"\x08\x00\x00\x00\x12\x34\x00\x01payload"
DATAGRAM = struct.pack("!HHHH", 4000, 53, 13, 0) + b"names"


def test_says_what_a_guest_sends_and_to_whom():
    whole = {"to_ip": FAR, "body": DATAGRAM, "protocol": UDP}
    assert packet_in(packet(**whole)) == Packet(UDP, OWN, FAR, 4000, 53, b"names", False)
    assert packet_in(packet(**whole) + b"padding") == packet_in(packet(**whole))
    assert packet_in(packet(to_ip=FAR, body=SYN)).is_beginning
    assert not packet_in(packet(to_ip=FAR, body=SYN[:13] + b"\x12" + SYN[14:])).is_beginning
    echo = packet_in(packet(to_ip=FAR, body=ECHO, protocol=ICMP))
    assert (echo.source_port, echo.body) == (0x1234, b"\x00\x01payload")


@pytest.mark.parametrize(
    "frame",
    [
        packet(body=DATAGRAM[:7], protocol=UDP), packet(body=DATAGRAM[:4] + b"\0\x0e\0\0names", protocol=UDP),
        packet(body=DATAGRAM[:4] + b"\0\x07\0\0names", protocol=UDP), packet(body=SYN[:19]), packet(body=b""),
        packet(body=b"\x05" + ECHO[1:], protocol=ICMP), packet(body=ECHO[:7], protocol=ICMP),
        packet(body=DATAGRAM, protocol=47), packet(body=SYN)[:20] + b"\x20\x00" + packet(body=SYN)[22:],
        packet(body=SYN)[:20] + b"\x00\x01" + packet(body=SYN)[22:],
    ],
)  # fmt: skip
def test_what_is_nothing_of_that_is_nothing(frame):
    assert packet_in(frame) is None


@settings(deadline=None)
@given(st.binary(min_size=34, max_size=200))
def test_any_bytes_are_read(frame):
    packet_in(packet()[:14] + frame)


@pytest.mark.parametrize("size", [0, 1, 1471, 1472, 1473, 4000, 65507])
def test_a_long_answer_comes_in_pieces_that_fit_together(size):
    asked = packet_in(packet(to_ip=FAR, body=DATAGRAM, protocol=UDP))
    said, body = bytes(range(256)) * 256, bytearray()
    pieces = list(answers(asked, said[:size]))
    for number, piece in enumerate(pieces):
        assert len(piece) <= MTU
        assert checksum(piece[:20]) == 0
        assert (piece[12:16], piece[16:20]) == (FAR, OWN)
        where = int.from_bytes(piece[6:8])
        assert bool(where & 0x2000) == (number < len(pieces) - 1)
        assert (where & 0x1FFF) * 8 == len(body)
        body += piece[20:]
    assert len({piece[4:6] for piece in pieces}) == 1
    assert struct.unpack("!HHH", body[:6]) == (53, 4000, 8 + size)
    assert body[8:] == said[:size]


def test_an_echo_comes_back_as_it_was_sent():
    asked = packet_in(packet(to_ip=FAR, body=ECHO, protocol=ICMP))
    (answer,) = answers(asked, asked.body)

    assert checksum(answer[20:]) == 0
    assert answer[20:22] + answer[24:] == b"\0\0" + ECHO[4:]


def test_a_refusal_ends_the_connection_that_was_begun():
    answer = refusal(packet(to_ip=FAR, body=SYN))

    pseudo = FAR + OWN + struct.pack("!BBH", 0, TCP, 20)
    assert checksum(pseudo + answer[20:]) == 0
    assert struct.unpack("!HHIIBB", answer[20:34]) == (80, 4000, 0, 8, 0x50, 0x14)


def test_a_prohibition_says_whose_it_is_and_of_what():
    frame = packet(to_ip=FAR, body=SYN)
    answer = prohibition(IPv4Address("172.16.1.253").packed, frame)

    assert answer[12:20] == IPv4Address("172.16.1.253").packed + OWN
    assert answer[20:22] == b"\x03\x0d"
    assert checksum(answer[20:]) == 0
    assert answer[28:] == frame[14:42]
