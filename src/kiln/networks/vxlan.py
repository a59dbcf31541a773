"""VXLAN of the kernel: an interface in a keeper's namespace, whose packets go out and come in where it was made.

It is made by whoever may change the host's network, in one step, and is the
keeper's from then on. Nothing is flooded and nothing is asked for: each peer has
an entry of its own, and a frame that claims a peer's MAC is taken from that
peer's address alone, which the kernel sees to where an interface learns and
has a permanent entry. What it learns beside that goes nowhere.
Sources: RFC 7348; linux/if_link.h, linux/neighbour.h; vxlan_snoop of drivers/net/vxlan.
"""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network

from kiln.networks.links import MTU, about
from kiln.networks.netlink import ACK, CREATE, EXCL, ROUTE, Message, Netlink, attribute, integer, ipv4, nested, text
from kiln.networks.values import Tunnel, end_of

NAME = "tunnel0"
#: Hosts are known within a keeper by addresses that no VPC may have, and that are told to nobody.
HOPS = IPv4Network("169.254.0.0/16")
_OVERHEAD = 50  #: Bytes: an IPv4 header, UDP's, VXLAN's and the inner frame's.
_REPLACE = 0x100
_NEW_LINK, _DEL_LINK, _NEW_ROUTE, _DEL_ROUTE, _NEW_NEIGHBOUR, _DEL_NEIGHBOUR = 16, 17, 24, 25, 28, 29
_IFLA_ADDRESS, _IFLA_NAME, _IFLA_MTU, _IFLA_LINK_INFO, _IFLA_AF_SPEC, _IFLA_NAMESPACE = 1, 3, 4, 18, 26, 28
_INFO_KIND, _INFO_DATA = 1, 2
_VXLAN_ID, _VXLAN_LOCAL, _VXLAN_LEARNING, _VXLAN_AGEING, _VXLAN_LIMIT, _VXLAN_PORT = 1, 4, 7, 8, 9, 15
_AGEING_S, _MOST_ENTRIES = 10, 16384
_UP, _NO_ARP = 0x1, 0x80
_INET_CONF, _FORWARDING, _REDIRECTS, _SEND_REDIRECTS, _RP_FILTER = 1, 1, 4, 6, 8
_INET6_MODE, _NO_ADDRESS = 8, 1
_BRIDGE, _OF_ITSELF, _PERMANENT = 7, 0x2, 0x80 | 0x40
_ON_LINK = 4


def inner_mtu(outer: int) -> int:
    """Bytes of the longest packet that goes through where frames of *outer* bytes go between hosts."""
    return min(MTU, outer - _OVERHEAD)


def make(tunnel: Tunnel, namespace: int) -> None:
    """Make the interface in a network namespace, of which a descriptor is given, and wrap what it sends in this one.

    Raises FileExistsError while another interface of this host has the number; OSError.
    """
    address, port = end_of("end", tunnel.end)
    own = (
        integer(_VXLAN_ID, tunnel.number),
        ipv4(_VXLAN_LOCAL, address),
        attribute(_VXLAN_PORT, struct.pack("!H", port)),
        attribute(_VXLAN_LEARNING, b"\1"),
        integer(_VXLAN_AGEING, _AGEING_S),
        integer(_VXLAN_LIMIT, _MOST_ENTRIES),
    )
    info = nested(_IFLA_LINK_INFO, text(_INFO_KIND, "vxlan"), nested(_INFO_DATA, *own))
    parts = (text(_IFLA_NAME, NAME), integer(_IFLA_MTU, tunnel.mtu), integer(_IFLA_NAMESPACE, namespace), info)
    with Netlink(ROUTE) as link:
        link.ask(Message(_NEW_LINK, ACK | CREATE | EXCL, about(0, up=False), *parts))


def remove(link: Netlink) -> None:
    """Remove the interface with all that leads to it; no error when there is none."""
    with contextlib.suppress(OSError):
        link.ask(Message(_DEL_LINK, ACK, about(socket.if_nametoindex(NAME), up=False)))


def open_up(link: Netlink, end: str) -> int:
    """Have packets come and go by the interface that was made in this namespace; its index. Raises OSError."""
    index = socket.if_nametoindex(NAME)
    settings = ((_FORWARDING, 1), (_RP_FILTER, 1), (_REDIRECTS, 0), (_SEND_REDIRECTS, 0))
    for_ipv4 = nested(socket.AF_INET, nested(_INET_CONF, *(integer(kind, value) for kind, value in settings)))
    for_ipv6 = nested(socket.AF_INET6, attribute(_INET6_MODE, bytes([_NO_ADDRESS])))
    flags = struct.pack("=BxHiII", socket.AF_UNSPEC, 0, index, _NO_ARP, _NO_ARP)
    link.ask(Message(_NEW_LINK, ACK, flags, attribute(_IFLA_ADDRESS, mac_of(end))))
    with contextlib.suppress(OSError):  # Of a kernel that knows no IPv6.
        link.ask(Message(_NEW_LINK, ACK, about(index, up=False), nested(_IFLA_AF_SPEC, for_ipv6)))
    link.ask(Message(_NEW_LINK, ACK, about(index, up=True), nested(_IFLA_AF_SPEC, for_ipv4)))
    # Else they would be this namespace's own, as every address is that is nobody's.
    route = struct.pack("=BBBBBBBBI", socket.AF_INET, HOPS.prefixlen, 0, 0, 254, 4, 253, 1, 0)
    link.ask(Message(_NEW_ROUTE, ACK | CREATE | EXCL, route, ipv4(1, HOPS.network_address), integer(4, index)))
    return index


def mac_of(end: str) -> bytes:
    """The MAC that the host which hears others there has in every tunnel."""
    address, port = end_of("end", end)
    return bytes([2, port & 0xFF]) + address.packed


def peer(index: int, end: str, hop: IPv4Address, *, is_gone: bool = False) -> Iterator[Message]:
    """What has the host of that end known as *hop*, an address of nobody's; or known no more."""
    address, port = end_of("end", end)
    kind, flags = (_DEL_NEIGHBOUR, ACK) if is_gone else (_NEW_NEIGHBOUR, ACK | CREATE | _REPLACE)
    where = [ipv4(1, address), attribute(2, mac_of(end)), attribute(6, struct.pack("!H", port))]
    yield Message(kind, flags, _neighbour(_BRIDGE, index, _OF_ITSELF), *where)
    yield Message(kind, flags, _neighbour(socket.AF_INET, index, 0), ipv4(1, hop), attribute(2, mac_of(end)))


def way(index: int, to: str, hop: IPv4Address, *, is_gone: bool = False) -> Message:
    """What has packets for an address go to *hop*, wherever they went before; or no more."""
    kind, flags = (_DEL_ROUTE, ACK) if is_gone else (_NEW_ROUTE, ACK | CREATE | _REPLACE)
    route = struct.pack("=BBBBBBBBI", socket.AF_INET, 32, 0, 0, 254, 4, 0, 1, _ON_LINK)
    return Message(kind, flags, route, ipv4(1, IPv4Address(to)), integer(4, index), ipv4(5, hop))


def _neighbour(family: int, index: int, flags: int) -> bytes:
    return struct.pack("=BxxxiHBB", family, index, _PERMANENT if family == _BRIDGE else 0x80, flags, 0)
