"""The network of an account that names none: a default VPC in each region, a VSwitch in each zone, a security group.

As real accounts have it. Each is made when it is first needed, in the
transaction of whoever needs it, so it is there once, and a request that is
refused makes none. Who deletes one has another made by the next who needs it.
"""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Network
from typing import TypeVar

from kiln.declare.ids import new_id
from kiln.operations.steps.network_drafts import new_group, new_vpc, new_vswitch
from kiln.store import vpcs
from kiln.store.addresses import NoAddressLeft
from kiln.store.database import Transaction
from kiln.store.rows import Rows
from kiln.store.security_groups import SecurityGroup, SecurityGroupRule, security_group_rules, security_groups
from kiln.store.vpcs import Vpc
from kiln.store.vswitches import VSwitch, vswitches

Row = TypeVar("Row")

DEFAULT_CIDR = "172.31.0.0/16"
_SWITCH_MASKS = range(20, 30)  #: Of a default VSwitch: the widest for which there is room.

#: What everybody may reach of the members of a default group.
_OPENED = (("tcp", "22/22"), ("tcp", "3389/3389"), ("icmp", "-1/-1"))
_OPENED_PRIORITY = 100  #: The lowest, so that any rule that is added goes before.


class DefaultNetwork:
    """What there is of the default network of an account in a region, and drafts of what is asked for beside it.

    ``record`` writes the drafts. Lives no longer than the transaction.
    """

    def __init__(self, tx: Transaction, account: str, region: str, now: float) -> None:
        self._tx = tx
        self._account = account
        self._region = region
        self._now = now
        self._drafts: list[tuple[Rows[object], object]] = []
        self._changed: set[str] = set()

    def vpc(self) -> Vpc:
        """The default VPC."""
        found = vpcs.default_of(self._tx, self._account, self._region)
        return found or self._drafted(vpcs.vpcs, Vpc) or self._draft(vpcs.vpcs, self._new_vpc())

    def vswitch(self, zone: str) -> VSwitch:
        """The default VSwitch of the zone. Raises NoAddressLeft where the VPC has no room for one."""
        vpc = self.vpc()
        found = vswitches.find(self._tx, vpc=vpc.id, zone=zone, is_default=True)
        if found is None:
            found = self._draft(vswitches, self._new_vswitch(vpc, zone))
            self._changed.add(vpc.id)
        return found

    def group(self, vpc: str) -> SecurityGroup:
        """The group of the VPC for who names none; any VPC of the account has one when it is needed."""
        found = security_groups.find(self._tx, vpc=vpc, is_default=True)
        if found is None:
            found = self._draft(security_groups, self._new_group(vpc))
            for protocol, ports in _OPENED:
                self._draft(security_group_rules, self._new_rule(found.id, protocol, ports))
            self._changed.add(vpc)
        return found

    def record(self) -> None:
        """Write down what was drafted."""
        for rows, row in self._drafts:
            rows.insert(self._tx, row)
        for vpc in self._changed:
            vpcs.mark_changed(self._tx, vpc)
        self._drafts, self._changed = [], set()

    def _draft(self, rows: Rows[Row], row: Row) -> Row:
        self._drafts.append((rows, row))  # type: ignore[arg-type]
        return row

    def _drafted(self, rows: Rows[Row], kind: type[Row]) -> Row | None:
        return next((row for of, row in self._drafts if of is rows and isinstance(row, kind)), None)

    def _new_vpc(self) -> Vpc:
        row = new_vpc(self._account, self._region, DEFAULT_CIDR, self._now)
        return replace(row, description="System created default VPC.", is_default=True)

    def _new_vswitch(self, vpc: Vpc, zone: str) -> VSwitch:
        cidr = _free_block(vpc, [one.cidr for one in vswitches.all(self._tx, vpc=vpc.id)])
        row = new_vswitch(vpc, zone, cidr, self._now)
        return replace(row, description="System created default virtual switch.", is_default=True)

    def _new_group(self, vpc: str) -> SecurityGroup:
        row = new_group(self._account, self._region, vpc, self._now)
        return replace(row, description="System created security group.", is_default=True)

    def _new_rule(self, group: str, protocol: str, ports: str) -> SecurityGroupRule:
        return SecurityGroupRule(
            id=new_id("security_group_rule"),
            security_group=group,
            direction="ingress",
            policy="accept",
            priority=_OPENED_PRIORITY,
            protocol=protocol,
            ports=ports,
            peer="0.0.0.0/0",
            nic_type="intranet",
            description="System created rule.",
            created_at=self._now,
        )


def _free_block(vpc: Vpc, taken: list[str]) -> str:
    """The first of the VPC's blocks that is as wide as can be and overlaps no other. Raises NoAddressLeft."""
    network, others = IPv4Network(vpc.cidr), [IPv4Network(one) for one in taken]
    for mask in _SWITCH_MASKS:
        if mask >= network.prefixlen:
            for block in network.subnets(new_prefix=mask):
                if not any(block.overlaps(other) for other in others):
                    return str(block)
    raise NoAddressLeft(vpc.id)
