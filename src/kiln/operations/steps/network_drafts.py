"""Rows of networks as they are first written, by an account or by Kiln itself: what every one of them has at once.

Whoever makes one says with ``dataclasses.replace`` what else it knows. A column
that is new is filled here.
"""

from __future__ import annotations

from kiln.declare.ids import new_id
from kiln.declare.states import VpcStatus, VSwitchStatus
from kiln.store.instances import Instance
from kiln.store.interfaces import NetworkInterface, interface_id
from kiln.store.security_groups import SecurityGroup
from kiln.store.vpcs import Vpc
from kiln.store.vswitches import VSwitch


def new_vpc(account: str, region: str, cidr: str, now: float) -> Vpc:
    """An empty VPC that is not the default one."""
    return Vpc(
        id=new_id("vpc"),
        account=account,
        region=region,
        name="",
        description="",
        status=VpcStatus.AVAILABLE,
        cidr=cidr,
        is_default=False,
        resource_group="",
        created_at=now,
    )


def new_vswitch(vpc: Vpc, zone: str, cidr: str, now: float) -> VSwitch:
    """An empty VSwitch that is not the default one."""
    return VSwitch(
        id=new_id("vswitch"),
        account=vpc.account,
        region=vpc.region,
        zone=zone,
        vpc=vpc.id,
        name="",
        description="",
        status=VSwitchStatus.AVAILABLE,
        cidr=cidr,
        is_default=False,
        resource_group="",
        created_at=now,
    )


def new_group(account: str, region: str, vpc: str, now: float) -> SecurityGroup:
    """A security group without rules that is not the default one."""
    return SecurityGroup(
        id=new_id("security_group"),
        account=account,
        region=region,
        vpc=vpc,
        name="",
        description="",
        type="normal",
        inner_access_policy="Accept",
        is_default=False,
        resource_group="",
        created_at=now,
    )


def new_card(instance: Instance) -> NetworkInterface:
    """The interface of an instance that has no place in a network yet."""
    return NetworkInterface(
        id=interface_id(instance.id),
        account=instance.account,
        region=instance.region,
        zone=instance.zone,
        vpc="",
        vswitch="",
        instance=instance.id,
        is_primary=True,
        private_ip="",
        mac="",
        status="InUse",
        created_at=instance.created_at,
    )
