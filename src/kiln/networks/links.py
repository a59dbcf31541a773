"""Interfaces, addresses and routes of the namespace that a keeper is in.

Each cable ends on a veth pair: the kernel routes on one side, the keeper reads
and writes frames on the other. Source: linux/rtnetlink.h, linux/if_link.h.
"""

from __future__ import annotations

import array
import contextlib
import fcntl
import socket
import struct
from ipaddress import IPv4Address, IPv4Network

from kiln.networks.netlink import ACK, CREATE, EXCL, Message, Netlink, attribute, integer, ipv4, nested, text

MTU = 1500
ROUTER_MAC = bytes.fromhex("eeffffffffff")  #: As the router of a VPC has it in the cloud.
_NEW_LINK, _DEL_LINK, _NEW_ADDRESS, _NEW_ROUTE, _NEW_NEIGHBOUR = 16, 17, 20, 24, 28
_IFLA_ADDRESS, _IFLA_NAME, _IFLA_MTU, _IFLA_LINK_INFO, _IFLA_AF_SPEC = 1, 3, 4, 18, 26
_INFO_KIND, _INFO_DATA, _VETH_PEER, _INET_CONF = 1, 2, 1, 1
_FORWARDING, _RP_FILTER = 1, 8  #: Of ``ipv4_devconf``.
_UP = 1
_SEND_REDIRECTS = 6
_ETHTOOL = 0x8946
#: Set receive and transmit checksums, scatter-gather, TSO, GSO, GRO: with any of them the frames are not whole.
_OFFLOADS = (0x15, 0x17, 0x19, 0x1F, 0x23, 0x2C)
_LO = 1
_SOL_PACKET, _IGNORE_OUTGOING = 263, 23
_IPV4_FRAMES = 0x0800


def open_loopback(link: Netlink, address: IPv4Address) -> None:
    """Have an address that no cable leads to; made again it is no error."""
    link.ask(Message(_NEW_LINK, ACK, about(_LO, up=True)))
    header = struct.pack("=BBBBi", socket.AF_INET, 32, 0, 0, _LO)
    with contextlib.suppress(FileExistsError):
        link.ask(Message(_NEW_ADDRESS, ACK | CREATE | EXCL, header, ipv4(1, address), ipv4(2, address)))


def make_pair(link: Netlink, number: int, address: IPv4Address, mac: bytes, gateway: IPv4Address) -> int:
    """A pair of interfaces, ``vN`` with the route to *address* and ``pN`` for frames; the index of the first."""
    router, frames = f"v{number}", f"p{number}"
    peer = attribute(_VETH_PEER, about(0, up=False) + text(_IFLA_NAME, frames) + integer(_IFLA_MTU, MTU))
    info = nested(_IFLA_LINK_INFO, text(_INFO_KIND, "veth"), nested(_INFO_DATA, peer))
    own = [text(_IFLA_NAME, router), integer(_IFLA_MTU, MTU), attribute(_IFLA_ADDRESS, ROUTER_MAC)]
    link.ask(Message(_NEW_LINK, ACK | CREATE | EXCL, about(0, up=False), *own, info))
    index = socket.if_nametoindex(router)
    for name in (router, frames):
        make_whole(name)
    # Neither can be up before both are there.
    link.ask(Message(_NEW_LINK, ACK, about(socket.if_nametoindex(frames), up=True)))
    settings = ((_FORWARDING, 1), (_RP_FILTER, 1), (_SEND_REDIRECTS, 0))
    configuration = nested(_INET_CONF, *(integer(kind, value) for kind, value in settings))
    link.ask(
        Message(_NEW_LINK, ACK, about(index, up=True), nested(_IFLA_AF_SPEC, nested(socket.AF_INET, configuration)))
    )
    neighbour = struct.pack("=BxxxiHBB", socket.AF_INET, index, 0x80, 0, 0)  # 0x80: permanent, never asked for.
    link.ask(Message(_NEW_NEIGHBOUR, ACK | CREATE, neighbour, ipv4(1, address), attribute(2, mac)))
    route = struct.pack("=BBBBBBBBI", socket.AF_INET, 32, 0, 0, 254, 4, 253, 1, 0)  # Main table, static, on this link.
    parts = [ipv4(1, address), integer(4, index), ipv4(7, gateway)]
    link.ask(Message(_NEW_ROUTE, ACK | CREATE | EXCL, route, *parts))
    return index


def route_beyond(link: Netlink, vpc: IPv4Network) -> None:
    """Take in whatever goes beyond the VPC, as if every address there were this namespace's own.

    Within it what no cable leads to is unreachable. Source: ip-route(8), types ``local`` and ``unreachable``.
    """
    everywhere = struct.pack("=BBBBBBBBI", socket.AF_INET, 0, 0, 0, 254, 4, 254, 2, 0)
    nowhere = struct.pack("=BBBBBBBBI", socket.AF_INET, vpc.prefixlen, 0, 0, 254, 4, 0, 7, 0)
    for route in ((everywhere, integer(4, _LO)), (nowhere, ipv4(1, vpc.network_address))):
        with contextlib.suppress(FileExistsError):
            link.ask(Message(_NEW_ROUTE, ACK | CREATE | EXCL, *route))


def remove_pair(link: Netlink, index: int) -> None:
    """Remove a pair with all that leads to it; no error when it is gone."""
    with contextlib.suppress(OSError):
        link.ask(Message(_DEL_LINK, ACK, about(index, up=False)))


def open_frames(number: int) -> socket.socket:
    """A socket for the frames of a pair. It never blocks."""
    # With no protocol nothing is received until it is bound to the one interface.
    frames = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0)
    frames.setsockopt(_SOL_PACKET, _IGNORE_OUTGOING, 1)
    frames.bind((f"p{number}", _IPV4_FRAMES))
    frames.setblocking(False)
    return frames


def about(index: int, *, up: bool) -> bytes:
    """The fixed part of a message on the interface of that index; 0: one that is yet to be made."""
    return struct.pack("=BxHiII", socket.AF_UNSPEC, 0, index, _UP if up else 0, _UP if up else 0)


def make_whole(name: str) -> None:
    """Turn off what leaves frames unfinished; a kernel that has one of them not has nothing to turn off."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        for command in _OFFLOADS:
            value = array.array("B", struct.pack("=II", command, 0))
            with contextlib.suppress(OSError):
                fcntl.ioctl(any_socket, _ETHTOOL, struct.pack("16sP", name.encode(), value.buffer_info()[0]))
