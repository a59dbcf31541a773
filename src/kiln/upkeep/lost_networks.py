"""What is named as an instance's network and is not there: VPCs, VSwitches and groups whose records were lost.

Nothing starts in such a place. Each is made again under its own ID, with what
those that name it say: a VSwitch around the addresses of its instances, a VPC
around its VSwitches, and a security group without rules, which lets nothing in
but its own members. So instances keep their addresses, and none is reached by
more than it was. What cannot be made again loses those that were in it, which
are given a place at the next start (``kiln.upkeep.placing``).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import field, replace
from ipaddress import IPv4Address, IPv4Network

from kiln.ground.values import dataclass
from kiln.networks import values
from kiln.networks.errors import NetworkInvalid
from kiln.operations.steps.default_network import DEFAULT_CIDR
from kiln.operations.steps.network_drafts import new_group, new_vpc, new_vswitch
from kiln.store import eips
from kiln.store.database import Transaction
from kiln.store.interfaces import NetworkInterface, interfaces, memberships
from kiln.store.security_groups import SecurityGroup, security_groups
from kiln.store.vpcs import Vpc, default_of, mark_changed, vpcs
from kiln.store.vswitches import VSwitch, vswitches
from kiln.upkeep.findings import Finding, mended

_LOST = "is named, and its record is lost"
#: Of a VPC the first that holds what is in it; of a VSwitch the masks that are tried, as people choose them.
_USUAL_BLOCKS = tuple(map(IPv4Network, (DEFAULT_CIDR, "192.168.0.0/16", "172.16.0.0/12", "10.0.0.0/8")))
_MASKS = (*range(24, 15, -1), *range(25, 30))


@dataclass
class _Found:
    """What is to be written again, and who can only be given another place."""

    vpcs: dict[str, Vpc] = field(default_factory=dict)
    vswitches: dict[str, VSwitch] = field(default_factory=dict)
    groups: dict[str, SecurityGroup] = field(default_factory=dict)
    homeless: list[NetworkInterface] = field(default_factory=list)


def lost_networks(tx: Transaction, now: float, *, repair: bool) -> list[Finding]:
    """Look for what is lost of networks, and with *repair* make it again."""
    found = _look(tx, now)
    adrift = _adrift(tx)
    if repair:
        _write(tx, found)
        for eip in adrift:
            eips.let_go(tx, eip.interface)
    return [*_told(found, repair=repair), *_told_adrift(adrift, repair=repair)]


def _look(tx: Transaction, now: float) -> _Found:
    found = _Found()
    known = {one.id: one for one in vpcs.all(tx)}
    switches = {one.id: one for one in vswitches.all(tx)}
    groups = {one.id for one in security_groups.all(tx)}
    cards = [one for one in interfaces.all(tx) if one.vswitch]
    members = _members(cards)
    for vpc in _unknown([*(one.vpc for one in switches.values()), *(one.vpc for one in cards)], known):
        vpc_again = _vpc_again(tx, vpc, switches.values(), [one for one in cards if one.vpc == vpc], now)
        if vpc_again is None:
            found.homeless += [one for one in cards if one.vpc == vpc]
        else:
            found.vpcs[vpc] = known[vpc] = vpc_again
    for switch in _unknown(members, switches):
        among = members[switch]
        again = _vswitch_again(switch, among, known.get(among[0].vpc), switches.values(), now)
        if again is None:
            found.homeless += [one for one in among if one not in found.homeless]
        else:
            found.vswitches[switch] = switches[switch] = again
    here = {one.id: one for one in cards if one not in found.homeless}
    for membership in memberships.all(tx):
        card = here.get(membership.interface)
        if card is not None and membership.security_group not in groups:
            group = membership.security_group
            found.groups.setdefault(group, _group_again(group, card, now))
    return found


def _members(cards: Iterable[NetworkInterface]) -> dict[str, list[NetworkInterface]]:
    members = defaultdict(list)
    for one in cards:
        members[one.vswitch].append(one)
    return members


def _unknown(named: Iterable[str], known: Mapping[str, object]) -> list[str]:
    return sorted({one for one in named if one and one not in known})


def _vpc_again(
    tx: Transaction, vpc: str, switches: Iterable[VSwitch], cards: Sequence[NetworkInterface], now: float
) -> Vpc | None:
    """None where nothing says which addresses it had."""
    inside = [one for one in switches if one.vpc == vpc]
    held = [IPv4Network(one.cidr) for one in inside] + [IPv4Network(one.private_ip) for one in cards]
    block = next((one for one in _USUAL_BLOCKS if all(part.subnet_of(one) for part in held)), None)
    if block is None:
        return None
    account, region = next((one.account, one.region) for ones in (inside, cards) for one in ones)
    # No other VPC has default VSwitches.
    is_default = any(one.is_default for one in inside) and default_of(tx, account, region) is None
    row = new_vpc(account, region, str(block), now)
    return replace(row, id=vpc, description="Its record was lost.", is_default=is_default)


def _vswitch_again(
    vswitch: str, cards: Sequence[NetworkInterface], vpc: Vpc | None, switches: Iterable[VSwitch], now: float
) -> VSwitch | None:
    """None where no block of the VPC holds all of its instances, and nobody else's."""
    if vpc is None:
        return None
    others = [IPv4Network(one.cidr) for one in switches if one.vpc == vpc.id]
    block = _block_of(vswitch, [IPv4Address(one.private_ip) for one in cards], IPv4Network(vpc.cidr), others)
    if block is None:
        return None
    return replace(new_vswitch(vpc, cards[0].zone, block, now), id=vswitch, description="Its record was lost.")


def _block_of(
    vswitch: str, addresses: Sequence[IPv4Address], within: IPv4Network, others: Sequence[IPv4Network]
) -> str | None:
    for mask in _MASKS:
        block = IPv4Network((addresses[0], mask), strict=False)
        if not block.subnet_of(within) or any(block.overlaps(one) for one in others):
            continue
        try:
            switch = values.VSwitch(id=vswitch, cidr=str(block))
        except NetworkInvalid:
            continue
        if all(switch.has(one) for one in addresses):
            return switch.cidr
    return None


def _group_again(group: str, card: NetworkInterface, now: float) -> SecurityGroup:
    row = new_group(card.account, card.region, card.vpc, now)
    return replace(row, id=group, description="Its record was lost, and with it its rules.")


def _adrift(tx: Transaction) -> list[eips.Eip]:
    """Elastic addresses that lead to what is not there."""
    cards = {one.id for one in interfaces.all(tx)}
    return [one for one in eips.eips.all(tx) if one.interface and one.interface not in cards]


def _write(tx: Transaction, found: _Found) -> None:
    vpcs.insert(tx, *found.vpcs.values())
    vswitches.insert(tx, *found.vswitches.values())
    security_groups.insert(tx, *found.groups.values())
    for card in found.homeless:
        interfaces.update(tx, {"vpc": "", "vswitch": "", "private_ip": ""}, id=card.id, instance=card.instance)
        memberships.delete(tx, interface=card.id, instance=card.instance)
    changed = [*(one.vpc for one in found.vswitches.values()), *(one.vpc for one in found.groups.values())]
    for vpc in sorted({*changed, *(one.vpc for one in found.homeless)}):
        mark_changed(tx, vpc)


def _told(found: _Found, *, repair: bool) -> Iterator[Finding]:
    again = [(one.id, f"a VPC of {one.cidr}") for one in found.vpcs.values()]
    again += [(one.id, f"a VSwitch of {one.vpc} of {one.cidr}") for one in found.vswitches.values()]
    for name, what in again:
        done, would = (f"it {is_} {what} again, by what is in it" for is_ in ("is", "would be"))
        yield mended(name, _LOST, done=done, would=would, repair=repair)
    for group in found.groups.values():
        done, would = (
            f"it {is_} a security group of {group.vpc} again, without rules: its members are reached by nobody else "
            "until it has some"
            for is_ in ("is", "would be")
        )
        yield mended(group.id, _LOST, done=done, would=would, repair=repair)
    for card in found.homeless:
        fault = f"was in {card.vswitch} of {card.vpc}: a record of these is lost, and they cannot be made again"
        done, would = (
            f"it {gets} a place and an address in its account's default VPC at the next start"
            for gets in ("gets", "would get")
        )
        yield mended(card.instance, fault, done=done, would=would, repair=repair)


def _told_adrift(adrift: Iterable[eips.Eip], *, repair: bool) -> Iterator[Finding]:
    for one in adrift:
        fault = f"{one.address} leads to {one.instance or one.interface}, which is not there"
        yield mended(one.id, fault, done="it leads nowhere now", would="it would lead nowhere", repair=repair)
