"""What a guest may put on its cable. A stranger's bytes: whatever is not known to be right goes nowhere.

Only IPv4 from the interface's own MAC and address to the router reaches the
kernel. ARP and DHCP are answered here, from what is known, so neither can be
told anything. Sources: RFC 826, 791, 2131, 2132.
"""

from __future__ import annotations

import struct
from ipaddress import IPv4Address, IPv4Network

from kiln.ground.values import dataclass
from kiln.networks.links import MTU, ROUTER_MAC
from kiln.networks.packets import UDP, datagram
from kiln.networks.values import DNS_ADDRESSES, METADATA_ADDRESS

LONGEST = 14 + MTU  #: Bytes of a frame.
_ARP, _IPV4 = b"\x08\x06", b"\x08\x00"
_ARP_FIXED = bytes.fromhex("0001080006040001")  # Ethernet, IPv4, a request.
_HEADERS = 14 + 20 + 8
_SHORTEST = 14 + 20
_PLAIN = 0x45  #: Version 4, five words of header.
_ARP_BYTES = 28
_COOKIE = bytes.fromhex("63825363")
_BROADCAST = bytes.fromhex("ffffffff")
_DHCP_OPTIONS_AT = 240
_LEASE_S = 86400
_DISCOVER, _OFFER, _REQUEST, _ACK, _NAK, _INFORM = 1, 2, 3, 5, 6, 8
_MASK, _ROUTER, _NAMES, _MTU, _REQUESTED, _LEASE, _KIND, _SERVER, _END = 1, 3, 6, 26, 50, 51, 53, 54, 255
_ROUTED = (IPv4Address(METADATA_ADDRESS).packed,)  #: Beyond every VPC, and all the same answered within it.
_DNS = b"".join(IPv4Address(one).packed for one in DNS_ADDRESSES)


@dataclass(frozen=True)
class Judged:
    """What becomes of a frame: it goes on to the kernel, or leaves the VPC, or is answered, or nothing of these."""

    on: bool = False
    leaves: bool = False
    answer: bytes | None = None


NOTHING, ON, LEAVES = Judged(), Judged(on=True), Judged(leaves=True)


class Gate:
    """Stands at the end of one interface's cable, in the VSwitch of *network* and the VPC of *vpc*."""

    def __init__(
        self, mac: str, address: IPv4Address, network: IPv4Network, gateway: IPv4Address, vpc: IPv4Network
    ) -> None:
        self.mtu = MTU  #: Which guests are told; longer packets than that are taken from them all the same.
        self._mac = bytes.fromhex(mac.replace(":", ""))
        self._vpc, self._vpc_mask = int(vpc.network_address), int(vpc.netmask)
        self._address = address.packed
        self._network, self._gateway = network, gateway.packed

    def judge(self, frame: bytes) -> Judged:
        """A frame that came from the guest."""
        if not _SHORTEST <= len(frame) <= LONGEST or frame[6:12] != self._mac:
            return NOTHING
        kind = frame[12:14]
        if kind == _IPV4:
            return self._packet(frame)
        return self._arp(frame) if kind == _ARP else NOTHING

    def for_guest(self, frame: bytes) -> bool:
        """Whether a frame from the kernel is for the guest."""
        return frame[12:14] == _IPV4 and frame[:6] == self._mac

    def _packet(self, frame: bytes) -> Judged:
        # Options of the header let a sender choose its packets' way.
        if frame[14] != _PLAIN or int.from_bytes(frame[16:18]) > len(frame) - 14:
            return NOTHING
        if frame[23] == UDP and frame[36:38] == b"\x00\x43" and not int.from_bytes(frame[20:22]) & 0x3FFF:
            return self._dhcp(frame[_HEADERS:])
        if frame[26:30] != self._address or frame[:6] != ROUTER_MAC:
            return NOTHING
        to = frame[30:34]
        return ON if int.from_bytes(to) & self._vpc_mask == self._vpc or to in _ROUTED else LEAVES

    def framed(self, packet: bytes) -> bytes:
        """A packet as the router sends it to the guest."""
        return self._mac + ROUTER_MAC + _IPV4 + packet

    def _arp(self, frame: bytes) -> Judged:
        """Whoever it asks for within its VSwitch, the router is the way; but not to itself, as if that were taken."""
        body = frame[14:42]
        if len(body) < _ARP_BYTES or body[:8] != _ARP_FIXED or body[8:14] != self._mac:
            return NOTHING
        sender, wanted = body[14:18], body[24:28]
        if wanted == self._address or sender not in (self._address, bytes(4)):
            return NOTHING
        if IPv4Address(wanted) not in self._network:
            return NOTHING
        answer = _ARP_FIXED[:7] + b"\x02" + ROUTER_MAC + wanted + self._mac + sender
        return Judged(answer=self._mac + ROUTER_MAC + _ARP + answer)

    def _dhcp(self, said: bytes) -> Judged:
        if len(said) < _DHCP_OPTIONS_AT or said[:3] != b"\x01\x01\x06" or said[28:34] != self._mac:
            return NOTHING
        options = _options(said[_DHCP_OPTIONS_AT:]) if said[236:240] == _COOKIE else {}
        if options.get(_SERVER, self._gateway) != self._gateway:
            return NOTHING
        kind = options.get(_KIND, b"")
        if kind == bytes([_DISCOVER]):
            return Judged(answer=self._lease(said, _OFFER))
        if kind == bytes([_INFORM]):
            return Judged(answer=self._lease(said, _ACK))
        if kind != bytes([_REQUEST]):
            return NOTHING
        wanted = options.get(_REQUESTED, said[12:16])
        return Judged(answer=self._lease(said, _ACK if wanted == self._address else _NAK))

    def _lease(self, asked: bytes, kind: int) -> bytes:
        told = [(_KIND, bytes([kind])), (_SERVER, self._gateway)]
        if kind != _NAK:
            told += [
                (_MASK, self._network.netmask.packed),
                (_ROUTER, self._gateway),
                (_MTU, struct.pack("!H", self.mtu)),
            ]
            told += [(_NAMES, _DNS), (_LEASE, struct.pack("!I", _LEASE_S))]
        own = self._address if kind != _NAK else bytes(4)
        fixed = b"\x02\x01\x06\x00" + asked[4:8] + bytes(2) + asked[10:12] + asked[12:16] + own + self._gateway
        body = fixed + bytes(4) + asked[28:44] + bytes(192) + _COOKIE
        body += b"".join(bytes([code, len(value)]) + value for code, value in told) + bytes([_END])
        to = _BROADCAST if kind == _NAK or asked[10] & 0x80 else self._address
        return self._mac + ROUTER_MAC + _IPV4 + datagram(self._gateway, to, 67, 68, body)


def _options(said: bytes) -> dict[int, bytes]:
    """DHCP's options up to the end of them or of what is there; the first of each kind counts."""
    found: dict[int, bytes] = {}
    at = 0
    while at + 1 < len(said) and said[at] != _END:
        if not said[at]:
            at += 1
            continue
        found.setdefault(said[at], said[at + 2 : at + 2 + said[at + 1]])
        at += 2 + said[at + 1]
    return found
