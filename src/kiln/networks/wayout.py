"""Where guests may go beyond their VPC, and which of them.

What is the host's own is not among it, whatever is asked for: its addresses,
its loopback, the services that a cloud has for the host itself. Private
networks are reached only where the operator names them.
Sources: https://www.iana.org/assignments/iana-ipv4-special-registry, RFC 6890.
"""

from __future__ import annotations

import os
from ipaddress import IPv4Address, IPv4Network, IPv6Address
from pathlib import Path

from kiln.ground.short_files import NotShort, read_short
from kiln.ground.values import dataclass
from kiln.networks.errors import NetworkInvalid
from kiln.networks.netlink import ROUTE, Message, Netlink, attribute
from kiln.networks.values import DNS_ADDRESSES, TUNNEL_PORTS, Place, network_of

OFF, PUBLIC = "off", "public"
NAMES_PORT = 53
#: Closed as in the cloud, whose rule it is: https://www.alibabacloud.com/help/en/ecs/user-guide/security-group-rules
MAIL_PORT = 25
MOST_NETWORKS = 100
#: This host, its links, its cloud's services for it (Azure's has an address that looks public), groups, and no address.
_NEVER = tuple(
    map(
        IPv4Network,
        (
            "0.0.0.0/8",
            "127.0.0.0/8",
            "169.254.0.0/16",
            "100.100.100.200/32",
            "168.63.129.16/32",
            "192.0.0.0/24",
            "224.0.0.0/3",
        ),
    )
)
#: Somebody's own networks, as far as addresses tell.
_PRIVATE = tuple(
    map(
        IPv4Network,
        (
            "10.0.0.0/8",
            "100.64.0.0/10",
            "172.16.0.0/12",
            "192.168.0.0/16",
            "192.0.2.0/24",
            "192.88.99.0/24",
            "198.18.0.0/15",
            "198.51.100.0/24",
            "203.0.113.0/24",
        ),
    )
)
_GET_ROUTE, _UNICAST = 26, 1
_TYPE_AT = 16 + 7  #: Of ``rtmsg`` behind the header of netlink.


@dataclass(frozen=True)
class WayOut:
    """What an operator lets guests reach beyond their VPCs.

    *to* is ``off``, or with commas between them ``public`` and CIDR blocks. Raises NetworkInvalid.
    """

    to: str = OFF
    is_for_all: bool = False  #: Also for instances that have no public address.
    resolver: Path = Path("/etc/resolv.conf")  #: Where it stands who answers this host for names.

    def __post_init__(self) -> None:
        words = self.to.split(",")
        if len(words) > MOST_NETWORKS:
            raise NetworkInvalid("way_out", f"{MOST_NETWORKS} networks at most")
        if self.to != OFF:
            for word in words:
                if word != PUBLIC:
                    network_of("way_out", word)

    @property
    def name(self) -> str:
        """What an egress is for that lets guests go there: one for something else has another name."""
        return f"egress:{self.to}:{self.resolver}"

    def leaving(self, place: Place) -> frozenset[str]:
        """The interfaces of the place that have a way out."""
        if self.to == OFF:
            return frozenset()
        return frozenset(one.id for one in place.interfaces) if self.is_for_all else place.addressed

    def lets(self, address: IPv4Address, port: int, *, by_udp: bool = False) -> bool:
        """Whether guests may speak to the address; *port* is 0 where the protocol has none."""
        if by_udp and port in TUNNEL_PORTS:
            # It would come from this host, which others believe.
            return False
        if self.to == OFF or port == MAIL_PORT or any(address in one for one in _NEVER):
            return False
        words = self.to.split(",")
        if any(address in IPv4Network(one) for one in words if one != PUBLIC):
            return True
        return PUBLIC in words and not any(address in one for one in _PRIVATE)


class Resolvers:
    """Who answers this host for names, read anew when that is written anew."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._read: tuple[int, list[str]] = (0, [])

    def behind(self, address: str) -> str | None:
        """The resolver of this host that stands behind one of ``DNS_ADDRESSES``; None where it has none."""
        try:
            written = self._file.stat().st_mtime_ns
            if written != self._read[0]:
                self._read = written, _named(read_short(self._file).decode(errors="replace"))
        except (OSError, NotShort):
            return None
        found = self._read[1]
        return found[DNS_ADDRESSES.index(address) % len(found)] if found else None


class Routes:
    """What the kernel does with packets to an address, in the namespace that this is made in."""

    def __init__(self) -> None:
        self._route = Netlink(ROUTE)

    def close(self) -> None:
        """Ask no more."""
        self._route.close()

    def leads_away(self, address: IPv4Address) -> bool:
        """Whether there is a route to it, and it is none of this host's own addresses."""
        return self._kind_of(address) == _UNICAST

    def leads_here(self, address: IPv4Address | IPv6Address) -> bool:
        """Whether there is a route to it, which ends at this host or at all that are on a link of its."""
        return self._kind_of(address) not in (None, _UNICAST)

    def _kind_of(self, address: IPv4Address | IPv6Address) -> int | None:
        """Of the route to it; None where there is none."""
        about = bytes([2 if address.version == 4 else 10, address.max_prefixlen]) + bytes(10)  # noqa: PLR2004 - its name.
        try:
            said = self._route.ask_for_one(Message(_GET_ROUTE, 0, about, attribute(1, address.packed)))
        except OSError:
            return None
        return said[_TYPE_AT] if len(said) > _TYPE_AT else None


def may_ping() -> bool:
    """Whether who is not root may ask others for echoes here. Source: icmp(7)."""
    try:
        first, last = map(int, read_short(Path("/proc/sys/net/ipv4/ping_group_range")).split())
    except (OSError, ValueError):
        return False
    return first <= max(os.getegid(), 1) <= last


def _named(text: str) -> list[str]:
    """The addresses of a resolv.conf: see resolv.conf(5)."""
    lines = (line.split() for line in text.splitlines())
    return [words[1] for words in lines if len(words) > 1 and words[0] == "nameserver"]
