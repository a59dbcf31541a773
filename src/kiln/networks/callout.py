"""Where the service itself may call, for an account that names the place: as ``wayout`` has it of guests.

What is this host's own, its cloud's and private networks' is reached only where
the operator names it. Unlike guests, who are strangers here, the service may then
also call this host itself: a receiver beside it is the usual one. And unlike
guests, it speaks IPv6 as well.
Source: https://www.iana.org/assignments/iana-ipv6-special-registry.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from kiln.ground.values import dataclass
from kiln.networks.errors import NetworkInvalid
from kiln.networks.own_addresses import Address, is_own
from kiln.networks.values import network_of
from kiln.networks.wayout import MAIL_PORT, MOST_NETWORKS, OFF, PUBLIC, WayOut

#: What is given to the internet's hosts. Nothing else is public: not what maps IPv4 or one network's own.
_GLOBAL = IPv6Network("2000::/3")
#: Of that: protocols (Teredo among them, which leads to any address of IPv4), examples, and 6to4, which does likewise.
_SPECIAL = tuple(map(IPv6Network, ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")))


@dataclass(frozen=True)
class CallsOut:
    """*to* is ``off``, or with commas between them ``public`` and CIDR blocks. Raises NetworkInvalid."""

    to: str = PUBLIC

    def __post_init__(self) -> None:
        if len(self.to.split(",")) > MOST_NETWORKS:
            raise NetworkInvalid("webhooks_to", f"{MOST_NETWORKS} networks at most")
        for one in self._named:
            _network_of(one)

    @property
    def is_off(self) -> bool:
        """Whether nothing may be called."""
        return self.to == OFF

    def names(self, address: Address) -> bool:
        """Whether the operator names a network that it is in."""
        return any(address in _network_of(one) for one in self._named)

    def lets(self, address: Address, port: int) -> bool:
        """Whether it may be called at the port; not where it may be this host's own and nobody can tell."""
        if self.names(address):
            return True
        return PUBLIC in self.to.split(",") and _is_public(address, port) and not is_own(address)

    @property
    def _named(self) -> list[str]:
        return [] if self.is_off else [one for one in self.to.split(",") if one != PUBLIC]


def read_address(text: str) -> Address:
    """An address as it is connected to: one of IPv6 that maps one of IPv4 is that one. Raises ValueError."""
    address = ip_address(text)
    return (isinstance(address, IPv6Address) and address.ipv4_mapped) or address


def _is_public(address: Address, port: int) -> bool:
    if isinstance(address, IPv4Address):
        return WayOut(to=PUBLIC).lets(address, port)
    return port != MAIL_PORT and address in _GLOBAL and not any(address in one for one in _SPECIAL)


def _network_of(text: str) -> IPv4Network | IPv6Network:
    """A CIDR block without bits beyond its mask. Raises NetworkInvalid."""
    if ":" not in text:
        return network_of("webhooks_to", text)
    try:
        if re.fullmatch(r"[0-9A-Fa-f:.]{2,45}/[0-9]{1,3}", text):
            return IPv6Network(text)
    except ValueError:
        pass
    raise NetworkInvalid("webhooks_to", f"{text[:50]!r} is no CIDR block of IPv6")
