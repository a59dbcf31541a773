"""When an instance is to be released, and what was asked for and is only shown."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_ADDED: dict[str, tuple[sa.types.TypeEngine[Any], str]] = {
    "affinity": (sa.Text(), ""),
    "credit_specification": (sa.Text(), ""),
    "dedicated_host_id": (sa.Text(), ""),
    "deployment_set_group_no": (sa.BigInteger(), "0"),
    "deployment_set_id": (sa.Text(), ""),
    "hibernation_configured": (sa.Boolean(), "false"),
    "hop_limit": (sa.BigInteger(), "0"),
    "hpc_cluster_id": (sa.Text(), ""),
    "isp": (sa.Text(), ""),
    "login_as_non_root": (sa.Boolean(), "false"),
    "spot_duration": (sa.BigInteger(), "0"),
    "spot_price_limit": (sa.Float(), "0"),
    "spot_strategy": (sa.Text(), "NoSpot"),
    "tenancy": (sa.Text(), ""),
}


def upgrade() -> None:
    """Carry it out."""
    with op.batch_alter_table("instances", schema=None) as batch_op:
        batch_op.add_column(sa.Column("auto_release_at", sa.Float(), nullable=True))
        for name, (kind, default) in _ADDED.items():
            was = sa.false() if default == "false" else default
            batch_op.add_column(sa.Column(name, kind, nullable=False, server_default=was))


def downgrade() -> None:
    """Take it back."""
    with op.batch_alter_table("instances", schema=None) as batch_op:
        for name in _ADDED:
            batch_op.drop_column(name)
        batch_op.drop_column("auto_release_at")
