"""Processes that share a database know of each other."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Carry it out. Who serves has no row before the next start."""
    op.create_table(
        "workers",
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("id", "host", "role", "address")),
        *(sa.Column(name, sa.Float(), nullable=False) for name in ("started_at", "seen_at")),
        sa.PrimaryKeyConstraint("id"),
    )


def downgrade() -> None:
    """Take it back."""
    op.drop_table("workers")
