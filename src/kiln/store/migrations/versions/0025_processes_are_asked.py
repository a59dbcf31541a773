"""Processes are asked by others, and instances remember which host they were on last."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Carry it out. An instance that has stopped is not known to have been anywhere before it starts again."""
    op.add_column("workers", sa.Column("peer", sa.Text(), nullable=False, server_default=""))
    op.add_column("instances", sa.Column("last_host", sa.Text(), nullable=False, server_default=""))
    op.execute("UPDATE instances SET last_host = host")


def downgrade() -> None:
    """Take it back."""
    op.drop_column("instances", "last_host")
    op.drop_column("workers", "peer")
