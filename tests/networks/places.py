"""Places for tests."""

from __future__ import annotations

import os

from kiln.networks.values import Group, Interface, Place, PublicAddress, Rule, Vpc, VSwitch


def interface(number, *, vswitch="vsw-1", groups=("sg-1",), address=None):
    net = vswitch.removeprefix("vsw-")
    return Interface(
        id=f"eni-{number}", mac=f"00:16:3e:00:00:{number:02x}", address=address or f"172.16.{net}.{10 + number}",
        vswitch=vswitch, groups=groups,
    )  # fmt: skip


def place(*interfaces, revision=1, vpc="vpc-1", groups=None, public=None):
    """A VPC of two VSwitches. *public* is an address by interface."""
    return Place(
        vpc=Vpc(id=vpc, cidr="172.16.0.0/16"),
        revision=revision,
        vswitches=(VSwitch(id="vsw-1", cidr="172.16.1.0/24"), VSwitch(id="vsw-2", cidr="172.16.2.0/24")),
        groups=tuple(groups if groups is not None else [group()]),
        interfaces=interfaces,
        addresses=tuple(PublicAddress(address=a, interface=one) for one, a in (public or {}).items()),
    )


def group(name="sg-1", *rules, inner=True):
    return Group(id=name, rules=rules, is_inner_accepted=inner)


def public(number):
    """An address of the loopback that no other run of the tests has."""
    return f"127.{65 + os.getpid() % 60}.{os.getpid() // 60 % 256}.{number}"


def opened(*ports, protocol="tcp", direction="ingress", peer="0.0.0.0/0", policy="accept", priority=1):
    return [
        Rule(direction=direction, protocol=protocol, ports=(p, p), peer=peer, policy=policy, priority=priority)
        for p in ports
    ]
