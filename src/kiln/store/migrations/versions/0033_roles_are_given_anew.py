"""Roles are given anew."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Carry it out. Keys that were given before name no number, and stay good while their role is not taken."""
    op.add_column("instances", sa.Column("ram_roles_taken", sa.BigInteger(), server_default="0", nullable=False))


def downgrade() -> None:
    """Take it back."""
    op.drop_column("instances", "ram_roles_taken")
