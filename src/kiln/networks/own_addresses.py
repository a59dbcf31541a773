"""Which addresses are this host's own, as the kernel says, in the network namespace of whoever asks.

Sources: https://docs.kernel.org/userspace-api/netlink/intro.html, rtnetlink(7), netdevice(7), linux/if_addr.h.
"""

from __future__ import annotations

import fcntl
import socket
import struct
from collections.abc import Iterator
from contextlib import closing
from ipaddress import IPv4Address, IPv6Address

from kiln.networks.netlink import ROUTE, Message, Netlink
from kiln.networks.wayout import Routes

Address = IPv4Address | IPv6Address

_GET_ADDRESSES = 22
_FAMILY_AT, _ATTRIBUTES_AT = 16, 24  #: Behind the header of netlink, and that and ``ifaddrmsg``.
_ATTRIBUTE = struct.Struct("=HH")
_INDEX, _INDEX_AT = struct.Struct("=I"), 20
_GET_MTU, _REQUEST = 0x8921, struct.Struct("=16si20x")  #: SIOCGIFMTU, and ``ifreq``.
_ADDRESS, _LOCAL, _BROADCAST, _ANYCAST = 1, 2, 4, 5
_FAMILIES: dict[int, type[IPv4Address | IPv6Address]] = {2: IPv4Address, 10: IPv6Address}


def is_own(address: Address) -> bool:
    """Whether the address leads to this host, also where that cannot be found out.

    An interface may have it, or a route may lead whole networks here. Where no routes can be asked, as in some
    sandboxes, the interfaces alone say it.
    """
    try:
        if address in own_addresses():
            return True
    except OSError:
        return True
    try:
        with closing(Routes()) as routes:
            return routes.leads_here(address)
    except OSError:
        return False


def mtu_of(address: Address) -> int | None:
    """Bytes of the longest packet of the interface that has the address; None where none has. Raises OSError."""
    with Netlink(ROUTE) as netlink:
        said = netlink.ask_for_all(Message(_GET_ADDRESSES, 0, bytes(8)))
    index = next((_INDEX.unpack_from(one, _INDEX_AT)[0] for one in said if address in _read(one)), None)
    if index is None:
        return None
    request = _REQUEST.pack(socket.if_indextoname(index).encode(), 0)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        mtu: int = _REQUEST.unpack(fcntl.ioctl(any_socket, _GET_MTU, request))[1]
    return mtu


def own_addresses() -> frozenset[Address]:
    """The addresses of all interfaces, and those by which all of a link are spoken to. Raises OSError."""
    with Netlink(ROUTE) as netlink:
        said = netlink.ask_for_all(Message(_GET_ADDRESSES, 0, bytes(8)))
    return frozenset(address for one in said for address in _read(one))


def _read(said: bytes) -> Iterator[Address]:
    if len(said) < _ATTRIBUTES_AT or (kind := _FAMILIES.get(said[_FAMILY_AT])) is None:
        return
    found = dict(_attributes(said[_ATTRIBUTES_AT:]))
    if _LOCAL in found:
        # Then that other one is the address at the far end.
        found.pop(_ADDRESS, None)
    for which in (_ADDRESS, _LOCAL, _BROADCAST, _ANYCAST):
        if which in found:
            yield kind(found[which])


def _attributes(said: bytes) -> Iterator[tuple[int, bytes]]:
    while len(said) >= _ATTRIBUTE.size:
        length, kind = _ATTRIBUTE.unpack_from(said)
        if length < _ATTRIBUTE.size:
            return
        yield kind, said[_ATTRIBUTE.size : length]
        said = said[length + -length % 4 :]
