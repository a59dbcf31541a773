"""Places for tests."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from kiln.networks.values import Direction, Group, Interface, Place, Policy, PublicAddress, Rule, Vpc, VSwitch


def interface(
    number: int, *, vswitch: str = "vsw-1", groups: Sequence[str] = ("sg-1",), address: str | None = None
) -> Interface:
    net = vswitch.removeprefix("vsw-")
    return Interface(
        id=f"eni-{number}", mac=f"00:16:3e:00:00:{number:02x}", address=address or f"172.16.{net}.{10 + number}",
        vswitch=vswitch, groups=groups,
    )  # fmt: skip


def place(
    *interfaces: Interface,
    revision: int = 1,
    vpc: str = "vpc-1",
    groups: Sequence[Group] | None = None,
    public: Mapping[str, str] | None = None,
) -> Place:
    """A VPC of two VSwitches. *public* is an address by interface."""
    return Place(
        vpc=Vpc(id=vpc, cidr="172.16.0.0/16"),
        revision=revision,
        vswitches=(VSwitch(id="vsw-1", cidr="172.16.1.0/24"), VSwitch(id="vsw-2", cidr="172.16.2.0/24")),
        groups=tuple(groups if groups is not None else [group()]),
        interfaces=interfaces,
        addresses=tuple(PublicAddress(address=a, interface=one) for one, a in (public or {}).items()),
    )


def group(name: str = "sg-1", *rules: Rule, inner: bool = True) -> Group:
    return Group(id=name, rules=rules, is_inner_accepted=inner)


def public(number: int) -> str:
    """An address of the loopback that no other run of the tests has."""
    return f"127.{65 + os.getpid() % 60}.{os.getpid() // 60 % 256}.{number}"


def opened(
    *ports: int,
    protocol: str = "tcp",
    direction: Direction = "ingress",
    peer: str = "0.0.0.0/0",
    policy: Policy = "accept",
    priority: int = 1,
) -> list[Rule]:
    return [
        Rule(direction=direction, protocol=protocol, ports=(p, p), peer=peer, policy=policy, priority=priority)
        for p in ports
    ]
