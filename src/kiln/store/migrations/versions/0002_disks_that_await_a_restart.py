"""Disks that await a restart."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Carry it out."""
    with op.batch_alter_table("disks", schema=None) as batch_op:
        batch_op.add_column(sa.Column("awaits_restart", sa.Boolean(), nullable=False, server_default=sa.false()))


def downgrade() -> None:
    """Take it back."""
    with op.batch_alter_table("disks", schema=None) as batch_op:
        batch_op.drop_column("awaits_restart")
