"""What was asked of disks, and is only shown."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_ADDED: dict[str, tuple[sa.types.TypeEngine[Any], Any]] = {
    "bursting_enabled": (sa.Boolean(), sa.false()),
    "provisioned_iops": (sa.BigInteger(), "0"),
    "storage_cluster_id": (sa.Text(), ""),
    "storage_set_id": (sa.Text(), ""),
    "storage_set_partition_number": (sa.BigInteger(), "0"),
}


def upgrade() -> None:
    """Carry it out."""
    with op.batch_alter_table("disks", schema=None) as batch_op:
        for name, (kind, was) in _ADDED.items():
            batch_op.add_column(sa.Column(name, kind, nullable=False, server_default=was))


def downgrade() -> None:
    """Take it back."""
    with op.batch_alter_table("disks", schema=None) as batch_op:
        for name in _ADDED:
            batch_op.drop_column(name)
