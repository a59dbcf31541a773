"""Snapshots in groups, and automatic ones by policies."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def _text(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.Text(), nullable=False) for name in names]


def upgrade() -> None:
    """Carry it out. Until now there were neither groups nor policies."""
    op.create_table(
        "snapshot_groups",
        *_text("id", "account", "region", "name", "description", "instance", "resource_group"),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("snapshot_groups_list", "snapshot_groups", ["account", "region", "created_at", "id"])
    op.create_table(
        "snapshot_policies",
        *_text("id", "account", "region", "name", "hours", "weekdays"),
        sa.Column("retention_days", sa.BigInteger(), nullable=False),
        *_text("resource_group"),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("changed_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("snapshot_policies_list", "snapshot_policies", ["account", "region", "created_at", "id"])
    with op.batch_alter_table("snapshots", schema=None) as batch_op:
        for name in ("snapshot_group", "snapshot_policy"):
            batch_op.add_column(sa.Column(name, sa.Text(), nullable=False, server_default=""))
        batch_op.create_index("snapshots_group", ["snapshot_group"])
    with op.batch_alter_table("disks", schema=None) as batch_op:
        batch_op.add_column(sa.Column("snapshot_policy", sa.Text(), nullable=False, server_default=""))
        batch_op.add_column(sa.Column("snapshots_until", sa.Float(), nullable=False, server_default="0"))
        for name in ("ignores_policy", "drops_auto_snapshots"):
            batch_op.add_column(sa.Column(name, sa.Boolean(), nullable=False, server_default=sa.false()))
        batch_op.create_index("disks_snapshot_policy", ["snapshot_policy"])


def downgrade() -> None:
    """Take it back."""
    with op.batch_alter_table("disks", schema=None) as batch_op:
        batch_op.drop_index("disks_snapshot_policy")
        for name in ("drops_auto_snapshots", "ignores_policy", "snapshots_until", "snapshot_policy"):
            batch_op.drop_column(name)
    with op.batch_alter_table("snapshots", schema=None) as batch_op:
        batch_op.drop_index("snapshots_group")
        for name in ("snapshot_policy", "snapshot_group"):
            batch_op.drop_column(name)
    op.drop_index("snapshot_policies_list", "snapshot_policies")
    op.drop_table("snapshot_policies")
    op.drop_index("snapshot_groups_list", "snapshot_groups")
    op.drop_table("snapshot_groups")
