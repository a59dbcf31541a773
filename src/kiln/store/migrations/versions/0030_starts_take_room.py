"""Starts take room."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Carry it out. What was asked for before takes none, and is carried out by whoever comes first."""
    for name in ("cpus", "memory_mib"):
        op.add_column("tasks", sa.Column(name, sa.BigInteger(), server_default="0", nullable=False))


def downgrade() -> None:
    """Take it back."""
    for name in ("cpus", "memory_mib"):
        op.drop_column("tasks", name)
