"""Packets of IPv4 as a guest's frame holds them, and those that it is answered with.

Sources: RFC 791, 768, 792, 9293, 1071.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from kiln.ground.values import dataclass
from kiln.networks.links import MTU

ICMP, TCP, UDP = 1, 6, 17
_ETHERNET, _HEAD, _UDP_HEAD, _TCP_HEAD, _ICMP_HEAD = 14, 20, 8, 20, 8
_SYN, _RST_ACK, _ACK = 0x02, 0x14, 0x10
_ECHO_REQUEST, _UNREACHABLE, _PROHIBITED = 8, 3, 13
_DO_NOT_FRAGMENT, _MORE, _PIECE_OF = 0x4000, 0x2000, 0x3FFF
_TTL = 64
_QUOTED = _HEAD + 8  #: Of a packet that went nowhere, the bytes that its sender is told.


@dataclass(frozen=True)
class Packet:
    """What a guest says to somebody: ports are those of TCP and UDP, and the identifier of an echo as the source's."""

    protocol: int
    source: bytes
    destination: bytes
    source_port: int
    port: int
    body: bytes  #: What UDP carries; of an echo its sequence number and what comes after it.
    is_beginning: bool  #: Of a TCP connection.

    @property
    def key(self) -> tuple[int, bytes, int, bytes, int]:
        """What all packets of one conversation have in common."""
        return self.protocol, self.source, self.source_port, self.destination, self.port


def packet_in(frame: bytes) -> Packet | None:
    """The packet of a frame with a plain header of IPv4; None of a fragment, and of what is no TCP, UDP or echo."""
    size = int.from_bytes(frame[16:18])
    if int.from_bytes(frame[20:22]) & _PIECE_OF or size < _HEAD:
        return None
    protocol, source, destination = frame[23], frame[26:30], frame[30:34]
    said = frame[_ETHERNET + _HEAD : _ETHERNET + size]
    ports = int.from_bytes(said[:2]), int.from_bytes(said[2:4])
    if protocol == TCP and len(said) >= _TCP_HEAD:
        is_beginning = said[13] & (_SYN | _ACK) == _SYN
        return Packet(TCP, source, destination, *ports, b"", is_beginning)
    if protocol == UDP and len(said) >= _UDP_HEAD and _UDP_HEAD <= int.from_bytes(said[4:6]) <= len(said):
        return Packet(UDP, source, destination, *ports, said[_UDP_HEAD : int.from_bytes(said[4:6])], False)
    if protocol == ICMP and len(said) >= _ICMP_HEAD and said[:2] == bytes([_ECHO_REQUEST, 0]):
        return Packet(ICMP, source, destination, int.from_bytes(said[4:6]), 0, said[6:], False)
    return None


def datagram(source: bytes, to: bytes, source_port: int, port: int, body: bytes) -> bytes:
    """A packet of UDP. Its checksum is 0, which is none."""
    return next(_packets(UDP, source, to, struct.pack("!HHHH", source_port, port, _UDP_HEAD + len(body), 0) + body))


def answers(asked: Packet, body: bytes) -> Iterator[bytes]:
    """The packets that bring *body* to who sent a datagram or an echo: of a long one, its fragments."""
    if asked.protocol == ICMP:
        head = struct.pack("!BBHH", 0, 0, 0, asked.source_port)
        said = head[:2] + struct.pack("!H", checksum(head + body)) + head[4:] + body
    else:
        said = struct.pack("!HHHH", asked.port, asked.source_port, _UDP_HEAD + len(body), 0) + body
    return _packets(asked.protocol, asked.destination, asked.source, said)


def refusal(frame: bytes) -> bytes:
    """The packet that ends a connection which the frame begins, as the other side would that has nobody there."""
    source, destination = frame[26:30], frame[30:34]
    said = frame[_ETHERNET + _HEAD :]
    expected = (int.from_bytes(said[4:8]) + 1) & 0xFFFFFFFF
    head = said[2:4] + said[:2] + struct.pack("!IIBBHHH", 0, expected, _TCP_HEAD << 2, _RST_ACK, 0, 0, 0)
    pseudo = destination + source + struct.pack("!BBH", 0, TCP, len(head))
    head = head[:16] + struct.pack("!H", checksum(pseudo + head)) + head[18:]
    return next(_packets(TCP, destination, source, head))


def prohibition(router: bytes, frame: bytes) -> bytes:
    """The packet by which *router* says that it lets the frame's packet not through."""
    head = struct.pack("!BBHI", _UNREACHABLE, _PROHIBITED, 0, 0)
    quoted = frame[_ETHERNET : _ETHERNET + _QUOTED]
    said = head[:2] + struct.pack("!H", checksum(head + quoted)) + head[4:] + quoted
    return next(_packets(ICMP, router, frame[26:30], said))


def checksum(said: bytes) -> int:
    """The Internet checksum (RFC 1071)."""
    said += bytes(len(said) % 2)
    total: int = sum(struct.unpack(f"!{len(said) // 2}H", said))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def _packets(protocol: int, source: bytes, to: bytes, said: bytes) -> Iterator[bytes]:
    """One packet, or as many as it takes."""
    most = (MTU - _HEAD) & ~7
    is_whole = len(said) <= MTU - _HEAD
    number = 0 if is_whole else checksum(said[:most])
    for at in [0] if is_whole else range(0, len(said), most):
        piece = said if is_whole else said[at : at + most]
        where = _DO_NOT_FRAGMENT if is_whole else at >> 3 | (_MORE if at + most < len(said) else 0)
        sizes = (0x45, 0, _HEAD + len(piece), number, where, _TTL, protocol, 0)
        head = struct.pack("!BBHHHBBH4s4s", *sizes, source, to)
        yield head[:10] + struct.pack("!H", checksum(head)) + head[12:] + piece
