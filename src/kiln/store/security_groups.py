"""Security groups, each of one VPC, and their rules.

Who is in a group is told by ``kiln.store.interfaces``. A rule's words are those
of ``kiln.networks.values.Rule``.
"""

from __future__ import annotations

from sqlalchemy import Index, text

from kiln.ground.values import dataclass
from kiln.store.database import Transaction
from kiln.store.order import Order, newest_first
from kiln.store.rows import Recorded, Rows


@dataclass(frozen=True, kw_only=True)
class SecurityGroup:
    """One security group. Empty text means: not given."""

    id: str
    account: str
    region: str
    vpc: str
    name: str
    description: str
    type: str  #: SecurityGroupType: ``normal`` or ``enterprise``.
    inner_access_policy: str  #: ``Accept`` or ``Drop``: whether members reach each other where no rule says otherwise.
    is_default: bool  #: The one that the default VPC has for who names none.
    resource_group: str
    created_at: float


@dataclass(frozen=True, kw_only=True)
class SecurityGroupRule:
    """One rule of a group."""

    id: str
    security_group: str
    direction: str  #: ``ingress`` or ``egress``.
    policy: str  #: ``accept`` or ``drop``.
    priority: int
    protocol: str  #: ``all``, ``tcp``, ``udp``, ``icmp`` or ``gre``.
    ports: str  #: ``22/22``, or ``-1/-1`` for all.
    peer: str  #: A CIDR block, or the ID of a group.
    nic_type: str  #: ``internet`` or ``intranet``, as it was asked for.
    description: str
    created_at: float


security_groups: Rows[SecurityGroup] = Rows(
    "security_groups",
    SecurityGroup,
    recorded=Recorded("securitygroup"),
    indexes=[
        Index("security_groups_list", "account", "region", "created_at", "id"),
        Index("security_groups_vpc", "vpc"),
        Index("security_groups_default", "vpc", unique=True, sqlite_where=text("is_default")),
    ],
)

security_group_rules: Rows[SecurityGroupRule] = Rows(
    "security_group_rules",
    SecurityGroupRule,
    recorded=Recorded("securitygroup", "security_group"),
    indexes=[
        Index("security_group_rules_group", "security_group"),
        Index("security_group_rules_peer", "peer"),
    ],
)

#: The newest first.
NEWEST: Order = newest_first(security_groups.c)
NEWEST_RULES: Order = newest_first(security_group_rules.c)


def remove(tx: Transaction, group: str) -> None:
    """Remove a group, in which nobody is, with its rules."""
    security_group_rules.delete(tx, security_group=group)
    security_groups.delete(tx, id=group)
