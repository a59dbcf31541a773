"""Network interfaces: where instances are joined to a VSwitch, and which security groups they are in.

An interface whose ``vswitch`` is empty was made before there were VPCs, and is
given its place when a Kiln that knows them starts (``kiln.upkeep.placing``).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Index, exists, func, select, text

from kiln.declare.ids import PREFIXES
from kiln.ground.values import dataclass
from kiln.store import eips, vpcs
from kiln.store.conditions import Condition
from kiln.store.database import Transaction
from kiln.store.order import Order, newest_first
from kiln.store.rows import Recorded, Rows


@dataclass(frozen=True, kw_only=True)
class NetworkInterface:
    """One network interface."""

    id: str
    account: str
    region: str
    zone: str
    vpc: str
    vswitch: str  #: Empty: it has no place yet, and neither VPC nor address.
    instance: str
    is_primary: bool
    private_ip: str
    mac: str  #: ``00:16:3e:12:34:56``.
    status: str
    created_at: float


@dataclass(frozen=True, kw_only=True)
class Membership:
    """That an interface is in a security group."""

    interface: str
    security_group: str
    instance: str  #: Whose interface it is.


_PLACED = text("vswitch <> ''")

interfaces: Rows[NetworkInterface] = Rows(
    "network_interfaces",
    NetworkInterface,
    recorded=Recorded("instance", "instance"),
    indexes=[
        Index("network_interfaces_instance", "instance"),
        Index("network_interfaces_vpc", "vpc"),
        Index("network_interfaces_address", "vswitch", "private_ip", unique=True, sqlite_where=_PLACED),
        Index("network_interfaces_mac", "mac", unique=True, sqlite_where=_PLACED),
    ],
)

memberships: Rows[Membership] = Rows(
    "security_group_members",
    Membership,
    key=("interface", "security_group"),
    recorded=Recorded("instance", "instance"),
    indexes=[
        Index("security_group_members_group", "security_group"),
        Index("security_group_members_instance", "instance"),
    ],
)

#: The newest first.
NEWEST: Order = newest_first(interfaces.c)


def interface_id(instance: str) -> str:
    """The ID of the primary interface of an instance: as it was told before there were rows of interfaces."""
    return f"{PREFIXES['network_interface']}-{instance.partition('-')[2]}"


def primary_of(tx: Transaction, instance: str) -> NetworkInterface | None:
    """The instance's primary interface."""
    return interfaces.find(tx, instance=instance, is_primary=True)


def primaries_of(tx: Transaction, instances: Sequence[str]) -> dict[str, NetworkInterface]:
    """The primary interface of each instance that has one."""
    return {one.instance: one for one in interfaces.among(tx, "instance", instances, is_primary=True)}


def groups_of(tx: Transaction, instances: Sequence[str]) -> dict[str, list[str]]:
    """The security groups of each instance, by ID."""
    found: dict[str, list[str]] = {instance: [] for instance in instances}
    for one in memberships.among(tx, "instance", instances):
        found[one.instance].append(one.security_group)
    return found


def is_member(group: str) -> Condition:
    """The condition that an interface is in the security group."""
    member = select(memberships.c.interface).where(
        memberships.c.security_group == group, memberships.c.interface == interfaces.c.id
    )
    return exists(member.correlate(interfaces.table))


def count_in(tx: Transaction, vswitches: Sequence[str]) -> dict[str, int]:
    """How many interfaces each VSwitch has."""
    counted = select(interfaces.c.vswitch, func.count()).where(interfaces.c.vswitch.in_(vswitches))
    found = dict.fromkeys(vswitches, 0)
    rows: Any = tx.execute(counted.group_by(interfaces.c.vswitch)).fetchall()
    return found | {vswitch: int(count) for vswitch, count in rows}


def join(tx: Transaction, interface: NetworkInterface, groups: Sequence[str]) -> None:
    """Put the interface into security groups, and say that its VPC has changed."""
    rows = (Membership(interface=interface.id, security_group=one, instance=interface.instance) for one in groups)
    memberships.insert(tx, *rows)
    vpcs.mark_changed(tx, interface.vpc)


def leave(tx: Transaction, interface: NetworkInterface, group: str) -> bool:
    """Take the interface out of a group, and say that its VPC has changed; whether it was in it."""
    if not memberships.delete(tx, interface=interface.id, security_group=group, instance=interface.instance):
        return False
    vpcs.mark_changed(tx, interface.vpc)
    return True


def join_instead(tx: Transaction, interface: NetworkInterface, groups: Sequence[str]) -> None:
    """Put the interface into security groups, and take it out of all others."""
    memberships.delete(tx, interface=interface.id, instance=interface.instance)
    join(tx, interface, groups)


def mark_vpcs_of(tx: Transaction, instance: str) -> None:
    """Say that the VPCs of an instance have changed, as where it is carried and what leads to it are of them."""
    for one in interfaces.all(tx, instance=instance):
        vpcs.mark_changed(tx, one.vpc)


def free(tx: Transaction, instance: str) -> None:
    """Remove the interfaces of an instance that ends, and let go of what led to them. Always with its row."""
    for one in interfaces.all(tx, instance=instance):
        eips.let_go(tx, one.id)
        vpcs.mark_changed(tx, one.vpc)
    memberships.delete(tx, instance=instance)
    interfaces.delete(tx, instance=instance)
