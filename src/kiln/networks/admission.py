"""What security groups mean: whether somebody may begin to speak to somebody. Answers to that are let through.

The rules of all groups of an interface are one list: the lowest number comes
first, and of equal ones what drops. The first that fits decides; where none
does, members of a group whose inner access is accepted reach each other, all
else is dropped on its way in, and let out.

Source: https://www.alibabacloud.com/help/en/ecs/user-guide/security-group-rules
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network

from kiln.networks.values import ALL_PORTS, Direction, Group, Interface, Place, Rule

#: Which ports a public address listens on where a rule opens more than MOST_OF_A_RANGE of them.
USUAL_PORTS = (21, 22, 80, 443, 1433, 3306, 3389, 5432, 5985, 5986, 6379, 8000, 8080, 8443, 9000)
MOST_OF_A_RANGE = 32
MOST_LISTENERS = 128  #: Of one public address.


def in_order(groups: Iterable[Group], direction: Direction) -> list[Rule]:
    """The rules of one direction, the one that is asked first in front."""
    rules = [rule for group in groups for rule in group.rules if rule.direction == direction]
    return sorted(rules, key=lambda rule: (rule.priority, rule.policy != "drop"))


def inner_peers(place: Place, groups: Iterable[Group]) -> list[str]:
    """The addresses from which members are let in where no rule decides, in their order."""
    inner = {group.id for group in groups if group.is_inner_accepted}
    return sorted(one.address for one in place.everyone if inner.intersection(one.groups))


def peers(place: Place, rule: Rule) -> list[str]:
    """The CIDR blocks that a rule speaks of; none where its group has no member."""
    if rule.is_of_group:
        return sorted(f"{one.address}/32" for one in place.members(rule.peer))
    return [rule.peer]


def lets_in(place: Place, interface: Interface, source: str, protocol: str, port: int) -> bool:
    """Whether *source* may begin to speak to the interface; *port* counts for TCP and UDP alone."""
    groups = place.groups_of(interface)
    said = _said(place, in_order(groups, "ingress"), source, protocol, port)
    return source in inner_peers(place, groups) if said is None else said


def lets_out(place: Place, interface: Interface, destination: str, protocol: str, port: int) -> bool:
    """Whether the interface may begin to speak to *destination*."""
    said = _said(place, in_order(place.groups_of(interface), "egress"), destination, protocol, port)
    return True if said is None else said


def listened_ports(place: Place, interface: Interface) -> list[int]:
    """The TCP ports that a public address of the interface listens on, since a rule lets somebody in there."""
    ports: set[int] = set()
    rules = [rule for rule in in_order(place.groups_of(interface), "ingress") if rule.policy == "accept"]
    for rule in sorted(rules, key=lambda one: one.ports[1] - one.ports[0]):
        if rule.protocol not in ("tcp", "all"):
            continue
        first, last = (1, 65535) if rule.ports == ALL_PORTS else rule.ports
        wide = last - first >= MOST_OF_A_RANGE
        ports.update(one for one in (USUAL_PORTS if wide else range(first, last + 1)) if first <= one <= last)
    return sorted(ports)[:MOST_LISTENERS]


def _said(place: Place, rules: Iterable[Rule], peer: str, protocol: str, port: int) -> bool | None:
    for rule in rules:
        if _fits(place, rule, peer, protocol, port):
            return rule.policy == "accept"
    return None


def _fits(place: Place, rule: Rule, peer: str, protocol: str, port: int) -> bool:
    if rule.protocol not in ("all", protocol):
        return False
    if rule.ports != ALL_PORTS and not rule.ports[0] <= port <= rule.ports[1]:
        return False
    return any(IPv4Address(peer) in IPv4Network(block) for block in peers(place, rule))
