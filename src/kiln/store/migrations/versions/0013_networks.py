"""VPCs, VSwitches, security groups, network interfaces and elastic addresses.

What an instance said of its network goes to an interface of its own. Those that
there are keep the addresses of their cards, and the IDs under which their
interfaces were told; a place in a VPC they are given by the next start. What
they were said to be in did not exist: no VSwitch, no VPC and no security group.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_GONE = ("private_ip", "mac", "security_groups", "vswitch", "vpc")


def _texts(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.Text(), nullable=False) for name in names]


def _flag(name: str) -> sa.Column[bool]:
    return sa.Column(name, sa.Boolean(), nullable=False)


def _moment() -> sa.Column[float]:
    return sa.Column("created_at", sa.Float(), nullable=False)


def _number(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=False)


def _index(table: str, name: str, *columns: str, where: str = "") -> None:
    """An index; with *where* a unique one of the rows for which that is so."""
    condition: dict[str, Any] = (
        {f"{dialect}_where": sa.text(where) for dialect in ("sqlite", "postgresql")} if where else {}
    )
    op.create_index(f"{table}_{name}", table, list(columns), unique=bool(where), **condition)


def _list(table: str) -> None:
    _index(table, "list", "account", "region", "created_at", "id")


def upgrade() -> None:
    """Carry it out."""
    _make_vpcs()
    _make_groups()
    _make_eips()
    _make_interfaces()
    with op.batch_alter_table("instances", schema=None) as batch_op:
        batch_op.drop_index("instances_private_ip")
        for name in _GONE:
            batch_op.drop_column(name)


def _make_vpcs() -> None:
    op.create_table(
        "vpcs",
        *_texts("id", "account", "region", "name", "description", "status", "cidr"),
        _flag("is_default"),
        *_texts("resource_group"),
        _moment(),
        _number("revision"),
        sa.PrimaryKeyConstraint("id"),
    )
    _list("vpcs")
    _index("vpcs", "default", "account", "region", where="is_default")
    op.create_table(
        "vswitches",
        *_texts("id", "account", "region", "zone", "vpc", "name", "description", "status", "cidr"),
        _flag("is_default"),
        *_texts("resource_group"),
        _moment(),
        sa.PrimaryKeyConstraint("id"),
    )
    _list("vswitches")
    _index("vswitches", "vpc", "vpc")
    _index("vswitches", "default", "vpc", "zone", where="is_default")


def _make_groups() -> None:
    op.create_table(
        "security_groups",
        *_texts("id", "account", "region", "vpc", "name", "description", "type", "inner_access_policy"),
        _flag("is_default"),
        *_texts("resource_group"),
        _moment(),
        sa.PrimaryKeyConstraint("id"),
    )
    _list("security_groups")
    _index("security_groups", "vpc", "vpc")
    _index("security_groups", "default", "vpc", where="is_default")
    op.create_table(
        "security_group_rules",
        *_texts("id", "security_group", "direction", "policy"),
        _number("priority"),
        *_texts("protocol", "ports", "peer", "nic_type", "description"),
        _moment(),
        sa.PrimaryKeyConstraint("id"),
    )
    _index("security_group_rules", "group", "security_group")
    _index("security_group_rules", "peer", "peer")
    op.create_table(
        "security_group_members",
        *_texts("interface", "security_group", "instance"),
        sa.PrimaryKeyConstraint("interface", "security_group"),
    )
    _index("security_group_members", "group", "security_group")
    _index("security_group_members", "instance", "instance")


def _make_eips() -> None:
    op.create_table(
        "eip_addresses",
        *_texts("id", "account", "region", "address", "status", "name", "description"),
        _number("bandwidth"),
        *_texts("internet_charge_type", "charge_type", "isp", "interface", "instance", "resource_group"),
        _moment(),
        sa.PrimaryKeyConstraint("id"),
    )
    _list("eip_addresses")
    op.create_index("eip_addresses_address", "eip_addresses", ["address"], unique=True)
    _index("eip_addresses", "interface", "interface")
    _index("eip_addresses", "instance", "instance")


def _make_interfaces() -> None:
    table = op.create_table(
        "network_interfaces",
        *_texts("id", "account", "region", "zone", "vpc", "vswitch", "instance"),
        _flag("is_primary"),
        *_texts("private_ip", "mac", "status"),
        _moment(),
        sa.PrimaryKeyConstraint("id"),
    )
    _index("network_interfaces", "instance", "instance")
    _index("network_interfaces", "vpc", "vpc")
    _index("network_interfaces", "address", "vswitch", "private_ip", where="vswitch <> ''")
    _index("network_interfaces", "mac", "mac", where="vswitch <> ''")
    old = sa.table("instances", *(sa.column(name) for name in ("id", "account", "region", "zone", "mac", "created_at")))
    none = sa.literal("")
    card = {
        "id": sa.literal("eni-") + sa.func.substr(old.c.id, 3),
        "account": old.c.account,
        "region": old.c.region,
        "zone": old.c.zone,
        "vpc": none,
        "vswitch": none,
        "instance": old.c.id,
        "is_primary": sa.true(),
        "private_ip": none,
        "mac": old.c.mac,
        "status": sa.literal("InUse"),
        "created_at": old.c.created_at,
    }
    op.execute(table.insert().from_select(list(card), sa.select(*card.values())))


def downgrade() -> None:
    """Take it back; of an interface the instance keeps its two addresses."""
    with op.batch_alter_table("instances", schema=None) as batch_op:
        for name in _GONE:
            batch_op.add_column(sa.Column(name, sa.Text(), nullable=False, server_default=""))
        batch_op.create_index("instances_private_ip", ["account", "private_ip"])
    cards, instances = sa.table("network_interfaces", *_texts("instance", "mac", "private_ip")), _instances()
    for name in ("mac", "private_ip"):
        of_card = sa.select(sa.func.min(cards.c[name])).where(cards.c.instance == instances.c.id).scalar_subquery()
        op.execute(instances.update().values({name: sa.func.coalesce(of_card, "")}))
    for table in (
        *("network_interfaces", "eip_addresses", "security_group_members", "security_group_rules"),
        *("security_groups", "vswitches", "vpcs"),
    ):
        op.drop_table(table)


def _instances() -> sa.TableClause:
    return sa.table("instances", *(sa.column(name) for name in ("id", "mac", "private_ip")))
