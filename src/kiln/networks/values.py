"""What a network is made of: a VPC, its VSwitches, security groups, interfaces, public addresses and a tunnel.

Values check themselves, with the bounds that ECS and VPC document; a
``Place`` also checks that its parts fit each other. So what is applied never
has to be doubted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from ipaddress import AddressValueError, IPv4Address, IPv4Network, NetmaskValueError
from typing import Literal

from kiln.ground.values import dataclass
from kiln.networks.errors import NetworkInvalid

Direction = Literal["ingress", "egress"]
Policy = Literal["accept", "drop"]

#: The metadata service's address, which no VPC may cover: https://www.alibabacloud.com/help/en/ecs/user-guide/view-instance-metadata
METADATA_ADDRESS = "100.100.100.200"
#: Who answers for names in every VPC: https://www.alibabacloud.com/help/en/dns/private-dns-resolver
DNS_ADDRESSES = ("100.100.2.136", "100.100.2.138")
PROTOCOLS = ("all", "tcp", "udp", "icmp", "gre")
ALL_PORTS = (-1, -1)
LAST_PORT = 65535
MOST_GROUPS = 16  #: Of one interface.
MOST_RULES = 1000  #: Of one group.
MOST_INTERFACES = 1024  #: Of one VPC on one host.
#: Where hosts hear each other, by UDP; the first is VXLAN's own. No guest's way out leads there. Source: RFC 7348, 8.
TUNNEL_PORTS = range(4789, 4800)
#: Of VPCs that hosts carry between them; those above are taken for trials. Source: RFC 7348, 5.
TUNNEL_NUMBERS, TRIAL_NUMBERS = range(1, 0xFF0000), range(0xFF0000, 1 << 24)
_LEAST_MTU, _MOST_MTU = 576, 1500
_VPC_MASKS, _SWITCH_MASKS = range(8, 29), range(16, 30)
_PRIORITIES = range(1, 101)
_RESERVED = 3  #: The last addresses of a VSwitch: the gateway, one that is kept free, and the broadcast address.
#: What the cloud keeps for itself, and what a kernel routes nowhere.
_FORBIDDEN = tuple(
    map(IPv4Network, ("0.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4", "240.0.0.0/4"))
)
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,63}")
_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")
_PORTS = re.compile(r"(-?[0-9]{1,5})/(-?[0-9]{1,5})")


@dataclass(frozen=True, kw_only=True)
class Vpc:
    """A private network. Nothing in it reaches another one."""

    id: str
    cidr: str  #: ``172.16.0.0/12``.

    def __post_init__(self) -> None:
        _check_id("id", self.id)
        network = network_of("cidr", self.cidr)
        if network.prefixlen not in _VPC_MASKS:
            raise NetworkInvalid("cidr", "a VPC's mask has 8 to 28 bits")
        if any(network.overlaps(one) for one in _FORBIDDEN):
            raise NetworkInvalid("cidr", f"{network} has addresses that are not for VPCs")


@dataclass(frozen=True, kw_only=True)
class VSwitch:
    """A part of a VPC's addresses."""

    id: str
    cidr: str

    def __post_init__(self) -> None:
        _check_id("id", self.id)
        if network_of("cidr", self.cidr).prefixlen not in _SWITCH_MASKS:
            raise NetworkInvalid("cidr", "a VSwitch's mask has 16 to 29 bits")

    @property
    def network(self) -> IPv4Network:
        return IPv4Network(self.cidr)

    @property
    def gateway(self) -> IPv4Address:
        """The router's address: the last but two, as ECS has it."""
        return self.network[-_RESERVED]

    def has(self, address: IPv4Address) -> bool:
        """Whether an interface may have the address: the first and the last three are reserved."""
        return address in self.network and self.network[0] < address < self.gateway

    def addresses(self) -> Iterator[IPv4Address]:
        """All addresses that interfaces may have, the lowest first."""
        return (self.network[n] for n in range(1, self.network.num_addresses - _RESERVED))


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A rule of a security group, in the words of AuthorizeSecurityGroup."""

    direction: Direction
    protocol: str  #: One of PROTOCOLS.
    ports: tuple[int, int] = (
        ALL_PORTS  #: The guest's for ingress, the peer's for egress; ALL_PORTS but for TCP and UDP.
    )
    peer: str = "0.0.0.0/0"  #: A CIDR block, or the ID of a group of the same VPC.
    policy: Policy = "accept"
    priority: int = 1  #: 1 to 100; the lowest number is asked first.

    def __post_init__(self) -> None:
        if self.direction not in ("ingress", "egress"):
            raise NetworkInvalid("direction", "ingress or egress")
        if self.protocol not in PROTOCOLS:
            raise NetworkInvalid("protocol", f"one of {', '.join(PROTOCOLS)}")
        if self.policy not in ("accept", "drop"):
            raise NetworkInvalid("policy", "accept or drop")
        if type(self.priority) is not int or self.priority not in _PRIORITIES:
            raise NetworkInvalid("priority", "a whole number from 1 to 100")
        _check_ports(self.protocol, self.ports)
        if self.is_of_group:
            _check_id("peer", self.peer)
        else:
            network_of("peer", self.peer)

    @property
    def is_of_group(self) -> bool:
        """Whether the peer is a group."""
        return "/" not in self.peer


@dataclass(frozen=True, kw_only=True)
class Group:
    """A security group. What no rule decides is dropped when it comes in, but from members, and let out."""

    id: str
    rules: Sequence[Rule] = ()
    is_inner_accepted: bool = True  #: InnerAccessPolicy: whether members reach each other where no rule says otherwise.

    def __post_init__(self) -> None:
        _check_id("id", self.id)
        if len(self.rules) > MOST_RULES:
            raise NetworkInvalid("rules", f"{MOST_RULES} at most")


@dataclass(frozen=True, kw_only=True)
class Interface:
    """The one network card of an instance."""

    id: str
    mac: str  #: ``00:16:3e:12:34:56``, in small letters.
    address: str
    vswitch: str
    groups: Sequence[str]

    def __post_init__(self) -> None:
        _check_id("id", self.id)
        if not _MAC.fullmatch(self.mac) or int(self.mac[:2], 16) & 1:
            raise NetworkInvalid("mac", "six pairs of small hexadecimal digits, and no group's address")
        address_of("address", self.address)
        if not 1 <= len(set(self.groups)) == len(self.groups) <= MOST_GROUPS:
            raise NetworkInvalid("groups", f"1 to {MOST_GROUPS}, each once")

    @property
    def socket(self) -> str:
        """What its cable is for: one that is plugged elsewhere, or is another card, has another."""
        return f"cable:{self.id}:{self.mac}:{self.address}:{self.vswitch}"


@dataclass(frozen=True, kw_only=True)
class PublicAddress:
    """An address of this host that leads to an interface."""

    address: str
    interface: str

    def __post_init__(self) -> None:
        address_of("address", self.address)


@dataclass(frozen=True, kw_only=True)
class Far:
    """An interface of the VPC that another host carries."""

    id: str
    address: str
    groups: Sequence[str]
    end: str  #: Where that host hears others: ``10.0.0.2:4789``.

    def __post_init__(self) -> None:
        _check_id("id", self.id)
        address_of("address", self.address)
        end_of("end", self.end)


@dataclass(frozen=True, kw_only=True)
class Tunnel:
    """What joins this host's part of a VPC to the parts that other hosts carry."""

    number: int  #: No other VPC of the deployment has it, and none ever had.
    end: str  #: Where this host hears others.
    mtu: int  #: Bytes of the longest packet that goes through.
    far: Sequence[Far] = ()

    def __post_init__(self) -> None:
        if type(self.number) is not int or not 0 < self.number <= TRIAL_NUMBERS[-1]:
            raise NetworkInvalid("number", "1 to 16777215")
        if type(self.mtu) is not int or not _LEAST_MTU <= self.mtu <= _MOST_MTU:
            raise NetworkInvalid("mtu", f"{_LEAST_MTU} to {_MOST_MTU}")
        end_of("end", self.end)
        for one in self.far:
            if one.end == self.end:
                raise NetworkInvalid("far", f"{one.id} is on this host")

    @property
    def name(self) -> str:
        """What a keeper's interface is made for: a tunnel that ends elsewhere, or is narrower, has another."""
        return f"tunnel:{self.number}:{self.end}:{self.mtu}"


@dataclass(frozen=True, kw_only=True)
class Place:
    """All of one VPC that this host has to carry. Interfaces are those of instances that run here, or start.

    Those that are *laid* are carried by another host. Machines here hold their cables, which lead nowhere.
    """

    vpc: Vpc
    revision: int  #: Grows with each change: a place never gives way to an older one.
    vswitches: Sequence[VSwitch] = ()
    groups: Sequence[Group] = ()
    interfaces: Sequence[Interface] = ()
    addresses: Sequence[PublicAddress] = ()
    tunnel: Tunnel | None = None  #: None: the VPC is of this host alone.
    laid: Sequence[Interface] = ()

    def __post_init__(self) -> None:
        if type(self.revision) is not int or self.revision < 0:
            raise NetworkInvalid("revision", "a whole number")
        if len(self.cabled) > MOST_INTERFACES:
            raise NetworkInvalid("interfaces", f"{MOST_INTERFACES} at most")
        self._check_switches()
        self._check_interfaces()
        _check_once("addresses", [one.address for one in self.addresses])
        interfaces = {one.id for one in self.interfaces}
        for one in self.addresses:
            if one.interface not in interfaces:
                raise NetworkInvalid("addresses", f"{one.address} leads to {one.interface}, which is not here")
        self._check_far()

    def vswitch(self, vswitch: str) -> VSwitch:
        return next(one for one in self.vswitches if one.id == vswitch)

    @property
    def addressed(self) -> frozenset[str]:
        """The interfaces that public addresses lead to."""
        return frozenset(one.interface for one in self.addresses)

    def groups_of(self, interface: Interface) -> list[Group]:
        return [one for one in self.groups if one.id in interface.groups]

    @property
    def far(self) -> Sequence[Far]:
        """The interfaces that other hosts carry."""
        return () if self.tunnel is None else self.tunnel.far

    @property
    def cabled(self) -> list[Interface]:
        """The interfaces whose cables are here."""
        return [*self.interfaces, *self.laid]

    @property
    def everyone(self) -> list[Interface | Far]:
        """The interfaces that can be spoken to, wherever they are."""
        return [*self.interfaces, *self.far]

    def members(self, group: str) -> list[Interface | Far]:
        return [one for one in self.everyone if group in one.groups]

    def _check_switches(self) -> None:
        _check_once("vswitches", [one.id for one in self.vswitches])
        taken: list[IPv4Network] = []
        for one in self.vswitches:
            if not one.network.subnet_of(IPv4Network(self.vpc.cidr)):
                raise NetworkInvalid("vswitches", f"{one.cidr} is not within {self.vpc.cidr}")
            if any(one.network.overlaps(other) for other in taken):
                raise NetworkInvalid("vswitches", f"{one.cidr} overlaps another")
            taken.append(one.network)

    def _check_interfaces(self) -> None:
        groups, switches = {one.id for one in self.groups}, {one.id: one for one in self.vswitches}
        _check_once("groups", [one.id for one in self.groups])
        for field in ("id", "mac", "address"):
            _check_once("interfaces", [getattr(one, field) for one in self.cabled])
        for one in self.cabled:
            if one.vswitch not in switches or not switches[one.vswitch].has(IPv4Address(one.address)):
                raise NetworkInvalid("interfaces", f"{one.vswitch} has no address {one.address} for an interface")
            if not groups.issuperset(one.groups):
                raise NetworkInvalid("interfaces", f"{one.id} is in a group that is not here")

    def _check_far(self) -> None:
        network, groups = IPv4Network(self.vpc.cidr), {one.id for one in self.groups}
        _check_once("far", [one.address for one in self.everyone])
        for one in self.far:
            if IPv4Address(one.address) not in network:
                raise NetworkInvalid("far", f"{one.address} is not within {network}")
            if not groups.issuperset(one.groups):
                raise NetworkInvalid("far", f"{one.id} is in a group that is not here")


def ports_of(text: str) -> tuple[int, int]:
    """``80/443`` or ``-1/-1`` as two numbers. Raises NetworkInvalid; whether a protocol has them, a rule says."""
    found = _PORTS.fullmatch(text)
    if found is None:
        raise NetworkInvalid("ports", "two numbers with a slash between them")
    return int(found[1]), int(found[2])


def network_of(field: str, text: str) -> IPv4Network:
    """A CIDR block without bits beyond its mask. Raises NetworkInvalid."""
    address, slash, bits = text.partition("/")
    try:
        network = IPv4Network((address, int(bits))) if slash and re.fullmatch(r"[0-9]{1,2}", bits) else None
    except (AddressValueError, NetmaskValueError, ValueError):
        raise NetworkInvalid(field, f"{text[:50]!r} is no CIDR block of IPv4") from None
    if network is None:
        raise NetworkInvalid(field, f"{text[:50]!r} is no CIDR block of IPv4")
    return network


def end_of(field: str, text: str) -> tuple[IPv4Address, int]:
    """Address and port of ``10.0.0.2:4789``, where a host hears others. Raises NetworkInvalid."""
    address, _, port = text.rpartition(":")
    if not re.fullmatch(r"[0-9]{4}", port) or int(port) not in TUNNEL_PORTS:
        raise NetworkInvalid(field, f"{text[:50]!r} has no port from {TUNNEL_PORTS[0]} to {TUNNEL_PORTS[-1]}")
    return address_of(field, address), int(port)


def address_of(field: str, text: str) -> IPv4Address:
    """An address. Raises NetworkInvalid."""
    try:
        return IPv4Address(text)
    except AddressValueError:
        raise NetworkInvalid(field, f"{text[:50]!r} is no address of IPv4") from None


def _check_ports(protocol: str, ports: tuple[int, int]) -> None:
    if protocol not in ("tcp", "udp"):
        if tuple(ports) != ALL_PORTS:
            raise NetworkInvalid("ports", f"{protocol} has no ports: -1/-1")
        return
    if tuple(ports) == ALL_PORTS:
        return
    first, last = ports
    if not 1 <= first <= last <= LAST_PORT:
        raise NetworkInvalid("ports", f"1 to {LAST_PORT}, the lower first")


def _check_id(field: str, text: str) -> None:
    if not _ID.fullmatch(text):
        raise NetworkInvalid(field, "letters, digits and hyphens, 64 at most")


def _check_once(field: str, values: Sequence[str]) -> None:
    if len(set(values)) < len(values):
        raise NetworkInvalid(field, f"{next(one for one in values if values.count(one) > 1)} is there twice")
