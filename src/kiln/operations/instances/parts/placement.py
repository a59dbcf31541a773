"""Where new instances are joined to a network: VSwitch, private addresses, security groups, and the zone they are in.

What is not named is found in the account's default network, and made there when it is missing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from ipaddress import AddressValueError, IPv4Address

from kiln.calls.call import Call
from kiln.calls.places import free_in
from kiln.declare.errors import ApiError
from kiln.ground.values import dataclass
from kiln.networks import values
from kiln.operations.errors.networks import (
    InvalidParameterMismatchOfGroup,
    InvalidSecurityGroupIdNotFound,
    InvalidVSwitchIdIpNotEnough,
    InvalidVSwitchIdNotFound,
)
from kiln.operations.errors.regions import InvalidZoneIdNotFound
from kiln.operations.steps.default_network import DefaultNetwork
from kiln.operations.steps.network_drafts import new_card
from kiln.store.addresses import NoAddressLeft, free_macs
from kiln.store.instances import Instance
from kiln.store.interfaces import (
    Membership,
    interfaces,
    memberships,
)
from kiln.store.security_groups import security_groups
from kiln.store.vswitches import VSwitch, vswitches


class InvalidParameterMismatchOfZone(ApiError):
    """The VSwitch is in another zone than the one that was named."""

    code = "InvalidParameter.Mismatch"
    message = "Specified virtual switch is not in the specified zone."


class InvalidSecurityGroupNotInDefaultVpc(ApiError):
    """No VSwitch was named, and the security group is of another VPC than the default one."""

    code = "InvalidSecurityGroup.NotInDefaultVpc"
    message = "The specified security group is not in the default VPC."
    hint = "Name a VSwitch of the group's VPC: `kiln vswitch list --vpc VPC` lists them."


class InvalidPrivateIpAddressMalformed(ApiError):
    """The private address that was asked for is none."""

    code = "InvalidPrivateIpAddress.Malformed"
    message = "Specified private IP address is malformed."


class InvalidPrivateIpAddress(ApiError):
    """The private address, or one of those that follow it, is none that the VSwitch gives to instances."""

    code = "InvalidPrivateIpAddress"
    message = "Specified private IP address is not in the CIDR block of virtual switch."
    hint = "The first address of a VSwitch and its last three are reserved."


class InvalidPrivateIpAddressDuplicated(ApiError):
    """Another instance has the private address, or one of those that follow it."""

    code = "InvalidPrivateIpAddress.Duplicated"
    message = "Specified private IP address is duplicated."


#: All that choose raises.
ERRORS: tuple[type[ApiError], ...] = (
    InvalidZoneIdNotFound,
    InvalidVSwitchIdNotFound,
    InvalidParameterMismatchOfZone,
    InvalidSecurityGroupIdNotFound,
    InvalidParameterMismatchOfGroup,
    InvalidSecurityGroupNotInDefaultVpc,
    InvalidPrivateIpAddressMalformed,
    InvalidPrivateIpAddress,
    InvalidPrivateIpAddressDuplicated,
    InvalidVSwitchIdIpNotEnough,
)


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What was asked for. None and no groups: not given."""

    zone: str | None = None
    vswitch: str | None = None
    groups: Sequence[str] = ()
    address: str | None = None  #: The first of several, which follow each other.


@dataclass(frozen=True, kw_only=True)
class Placement:
    """Where the instances of one call will be."""

    vswitch: VSwitch
    groups: Sequence[str]
    addresses: Sequence[str]  #: One for each instance, as of the next.
    macs: Sequence[str]
    network: DefaultNetwork  #: With drafts of what was missing.


def choose(call: Call, region: str, wanted: Wanted, count: int) -> Placement:
    """Decide on it for so many instances. Raises one of ERRORS."""
    zones = call.deployment.zones(region)
    if wanted.zone is not None and wanted.zone not in zones:
        raise InvalidZoneIdNotFound(zone_id=wanted.zone)
    network = DefaultNetwork(call.tx, call.account, region, call.now)
    vswitch = _vswitch(call, region, wanted, network, zones[0])
    return Placement(
        vswitch=vswitch,
        groups=_groups(call, region, wanted, network, vswitch),
        addresses=_addresses(call, wanted.address, vswitch, count),
        macs=free_macs(call.tx, count),
        network=network,
    )


def check_groups(call: Call, region: str, vpc: str, groups: Sequence[str], elsewhere: type[ApiError]) -> list[str]:
    """The groups, each once. Raises InvalidSecurityGroupIdNotFound, and *elsewhere* for one of another VPC."""
    named = list(dict.fromkeys(groups))
    found = {one.id: one for one in security_groups.among(call.tx, "id", named, **call.own(region))}
    for group in named:
        if group not in found:
            raise InvalidSecurityGroupIdNotFound(security_group_id=group)
        if found[group].vpc != vpc:
            raise elsewhere(security_group_id=group, vpc_id=vpc)
    return named


def record(call: Call, placement: Placement, made: Sequence[Instance]) -> None:
    """Write down what was missing, and an interface for each instance."""
    placement.network.record()
    for n, instance in enumerate(made):
        card = replace(
            new_card(instance),
            vpc=placement.vswitch.vpc,
            vswitch=placement.vswitch.id,
            private_ip=placement.addresses[n],
            mac=placement.macs[n],
        )
        interfaces.insert(call.tx, card)
        for group in placement.groups:
            memberships.insert(call.tx, Membership(interface=card.id, security_group=group, instance=instance.id))


def _vswitch(call: Call, region: str, wanted: Wanted, network: DefaultNetwork, first_zone: str) -> VSwitch:
    if wanted.vswitch is None:
        try:
            return network.vswitch(wanted.zone or first_zone)
        except NoAddressLeft as e:
            raise InvalidVSwitchIdIpNotEnough(vswitch_id=str(e)) from e
    found = call.the(vswitches, wanted.vswitch, region, InvalidVSwitchIdNotFound)
    if wanted.zone not in (None, found.zone):
        raise InvalidParameterMismatchOfZone(v_switch_id=found.id, zone_id=wanted.zone)
    return found


def _groups(call: Call, region: str, wanted: Wanted, network: DefaultNetwork, vswitch: VSwitch) -> list[str]:
    if not wanted.groups:
        return [network.group(vswitch.vpc).id]
    elsewhere = InvalidSecurityGroupNotInDefaultVpc if wanted.vswitch is None else InvalidParameterMismatchOfGroup
    return check_groups(call, region, vswitch.vpc, wanted.groups, elsewhere)


def _addresses(call: Call, first: str | None, vswitch: VSwitch, count: int) -> list[str]:
    if first is None:
        try:
            return free_in(call.tx, vswitch, count)
        except NoAddressLeft as e:
            raise InvalidVSwitchIdIpNotEnough(vswitch_id=str(e)) from e
    switch = values.VSwitch(id=vswitch.id, cidr=vswitch.cidr)
    try:
        start = IPv4Address(first)
    except AddressValueError as e:
        raise InvalidPrivateIpAddressMalformed(private_ip_address=first) from e
    last = int(start) + count - 1
    if not (switch.has(start) and switch.has(IPv4Address(min(last, int(IPv4Address("255.255.255.255")))))):
        raise InvalidPrivateIpAddress(private_ip_address=first, cidr=vswitch.cidr)
    asked = [str(start + n) for n in range(count)]
    if interfaces.among(call.tx, "private_ip", asked, vswitch=vswitch.id):
        raise InvalidPrivateIpAddressDuplicated(private_ip_address=first)
    return asked
