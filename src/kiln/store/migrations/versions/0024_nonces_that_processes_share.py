"""Processes that share a database know which requests were used."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Carry it out. What one process remembers it remembers still."""
    op.create_table(
        "nonces",
        sa.Column("mark", sa.Text(), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("mark"),
    )
    op.create_index("nonces_at", "nonces", ["at"])


def downgrade() -> None:
    """Take it back."""
    op.drop_index("nonces_at", "nonces")
    op.drop_table("nonces")
