"""Instances have roles."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Carry it out. Instances that there are have none: whoever named one then was told that it has no effect."""
    op.add_column("instances", sa.Column("ram_role", sa.Text(), server_default="", nullable=False))


def downgrade() -> None:
    """Take it back."""
    op.drop_column("instances", "ram_role")
