"""Rows of networks as ``kiln.networks`` takes them: what a host has to carry of a VPC, and what a VSwitch has left.

Whoever changes a row that is read here marks the VPC in the same transaction
(``kiln.store.vpcs.mark_changed``). So a place that is read at a revision never differs
from another of that revision.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from kiln.networks import values
from kiln.networks.values import Place
from kiln.store.addresses import free_private
from kiln.store.database import Transaction
from kiln.store.eips import eips
from kiln.store.instances import Instance, on_host
from kiln.store.interfaces import NetworkInterface, interfaces, memberships
from kiln.store.security_groups import SecurityGroup, SecurityGroupRule, security_group_rules, security_groups
from kiln.store.vpcs import vpcs
from kiln.store.vswitches import VSwitch, vswitches


def place_of(
    tx: Transaction,
    vpc: str,
    host: str,
    carries: Callable[[Instance], bool] = lambda _: True,
    beside: Sequence[Instance] = (),
) -> Place | None:
    """The VPC with the interfaces of those instances on *host* that it *carries*; None when it is gone.

    Those of instances that are *beside*, whose rows say that they are another host's, are laid. Raises NetworkInvalid
    where the rows do not fit each other, which no operation lets happen.
    """
    row = vpcs.find(tx, id=vpc)
    if row is None:
        return None
    here = {one.id: one for one in on_host(tx, vpc, host) if carries(one)}
    there = {one.id for one in beside}
    known = interfaces.all(tx, vpc=vpc)
    cards = [one for one in known if one.instance in here]
    laid = [one for one in known if one.instance in there]
    ids = [one.id for one in (*cards, *laid)]
    groups_of: dict[str, list[str]] = {one: [] for one in ids}
    for one in memberships.among(tx, "interface", ids):
        groups_of[one.interface].append(one.security_group)
    public = [(here[one.instance].public_ip, one.id) for one in cards if here[one.instance].public_ip]
    elastic = [(one.address, one.interface) for one in eips.among(tx, "interface", [one.id for one in cards])]
    groups = security_groups.all(tx, vpc=vpc)
    rules: dict[str, list[values.Rule]] = {group.id: [] for group in groups}
    for rule in security_group_rules.among(tx, "security_group", list(rules)):
        rules[rule.security_group].append(_rule(rule))
    return Place(
        vpc=values.Vpc(id=row.id, cidr=row.cidr),
        revision=row.revision,
        vswitches=[values.VSwitch(id=one.id, cidr=one.cidr) for one in vswitches.all(tx, vpc=vpc)],
        groups=[_group(group, rules[group.id]) for group in groups],
        interfaces=[_interface(one, groups_of[one.id]) for one in cards],
        laid=[_interface(one, groups_of[one.id]) for one in laid],
        addresses=[values.PublicAddress(address=address, interface=card) for address, card in public + elastic],
    )


def free_in(tx: Transaction, vswitch: VSwitch, count: int) -> list[str]:
    """Addresses for instances that nobody has in the VSwitch. Raises NoAddressLeft."""
    switch = values.VSwitch(id=vswitch.id, cidr=vswitch.cidr)
    return free_private(tx, vswitch.id, switch.network[1], switch.gateway, count)


def _interface(card: NetworkInterface, groups: Sequence[str]) -> values.Interface:
    return values.Interface(id=card.id, mac=card.mac, address=card.private_ip, vswitch=card.vswitch, groups=groups)


def _group(group: SecurityGroup, rules: list[values.Rule]) -> values.Group:
    return values.Group(id=group.id, rules=rules, is_inner_accepted=group.inner_access_policy == "Accept")


def _rule(rule: SecurityGroupRule) -> values.Rule:
    return values.Rule(
        direction="ingress" if rule.direction == "ingress" else "egress",
        protocol=rule.protocol,
        ports=values.ports_of(rule.ports),
        peer=rule.peer,
        policy="accept" if rule.policy == "accept" else "drop",
        priority=rule.priority,
    )
