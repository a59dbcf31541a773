"""Networks to test with: VPCs and what is in them, and instances plugged into them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from kiln.calls.places import free_in
from kiln.declare.ids import new_id
from kiln.operations.steps.default_network import DefaultNetwork
from kiln.store.addresses import free_macs
from kiln.store.database import Transaction
from kiln.store.eips import Eip, eips
from kiln.store.instances import Instance
from kiln.store.interfaces import Membership, NetworkInterface, interface_id, interfaces, memberships
from kiln.store.security_groups import SecurityGroup, security_groups
from kiln.store.vpcs import Vpc, vpcs
from kiln.store.vswitches import VSwitch, vswitches
from tests.clouds import ACCOUNT, REGION, Cloud


def a_vpc(cloud: Cloud, **changes: Any) -> Vpc:
    """An empty VPC."""
    row = Vpc(
        id=new_id("vpc"),
        account=ACCOUNT,
        region=REGION,
        name="",
        description="",
        status="Available",
        cidr="10.0.0.0/16",
        is_default=False,
        resource_group="",
        created_at=cloud.clock(),
    )
    row = replace(row, **changes)
    cloud.ports.database.write(lambda tx: vpcs.insert(tx, row))
    return row


def a_vswitch(cloud: Cloud, vpc: Vpc, **changes: Any) -> VSwitch:
    """A VSwitch of the VPC, of four addresses for instances."""
    row = VSwitch(
        id=new_id("vswitch"),
        account=vpc.account,
        region=vpc.region,
        zone=vpc.region + "-a",
        vpc=vpc.id,
        name="",
        description="",
        status="Available",
        cidr="10.0.0.0/29",
        is_default=False,
        resource_group="",
        created_at=cloud.clock(),
    )
    row = replace(row, **changes)
    cloud.ports.database.write(lambda tx: vswitches.insert(tx, row))
    return row


def a_group(cloud: Cloud, vpc: Vpc, **changes: Any) -> SecurityGroup:
    """A security group of the VPC, without rules."""
    row = SecurityGroup(
        id=new_id("security_group"),
        account=vpc.account,
        region=vpc.region,
        vpc=vpc.id,
        name="",
        description="",
        type="normal",
        inner_access_policy="Accept",
        is_default=False,
        resource_group="",
        created_at=cloud.clock(),
    )
    row = replace(row, **changes)
    cloud.ports.database.write(lambda tx: security_groups.insert(tx, row))
    return row


def an_eip(cloud: Cloud, **changes: Any) -> Eip:
    """An elastic address that leads nowhere."""
    row = Eip(
        id=new_id("eip"),
        account=ACCOUNT,
        region=REGION,
        address="127.88.0.1",
        status="Available",
        name="",
        description="",
        bandwidth=5,
        internet_charge_type="PayByTraffic",
        charge_type="PostPaid",
        isp="BGP",
        interface="",
        instance="",
        resource_group="",
        created_at=cloud.clock(),
    )
    row = replace(row, **changes)
    cloud.ports.database.write(lambda tx: eips.insert(tx, row))
    return row


def the_default_vpc(cloud: Cloud, account: str = ACCOUNT) -> Vpc:
    """The default VPC of an account, made where there is none."""

    def find(tx: Transaction) -> Vpc:
        network = DefaultNetwork(tx, account, REGION, cloud.clock())
        vpc = network.vpc()
        network.vswitch(REGION + "-a")
        network.group(vpc.id)
        network.record()
        return vpc

    return cloud.ports.database.write(find)


def plug_in(tx: Transaction, instance: Instance, groups: Sequence[str] = (), **changes: Any) -> NetworkInterface:
    """Give an instance an interface in its account's default network, or what *changes* say of it."""
    network = DefaultNetwork(tx, instance.account, instance.region, instance.created_at)
    vswitch, default = network.vswitch(instance.zone), network.group(network.vpc().id)
    network.record()
    card = NetworkInterface(
        id=interface_id(instance.id),
        account=instance.account,
        region=instance.region,
        zone=instance.zone,
        vpc=vswitch.vpc,
        vswitch=vswitch.id,
        instance=instance.id,
        is_primary=True,
        private_ip=free_in(tx, vswitch, 1)[0],
        mac=free_macs(tx, 1)[0],
        status="InUse",
        created_at=instance.created_at,
    )
    card = replace(card, **changes)
    interfaces.insert(tx, card)
    for group in groups or [default.id]:
        memberships.insert(tx, Membership(interface=card.id, security_group=group, instance=instance.id))
    return card


def unplug(tx: Transaction, instance: str, mac: str) -> None:
    """Leave an instance as a migration leaves those of before there were VPCs: with a card, and nowhere."""
    memberships.delete(tx, instance=instance)
    interfaces.update(tx, {"vpc": "", "vswitch": "", "private_ip": "", "mac": mac}, instance=instance)
