"""Hosts are known, and what each has for guests."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Carry it out. A host has its row from the next start on."""
    op.create_table(
        "hosts",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("since", sa.Float(), nullable=False),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in ("cpus", "memory_mib")),
        sa.Column("worker", sa.Text(), nullable=False),
        sa.Column("seen_at", sa.Float(), nullable=False),
        *(sa.Column(name, sa.Boolean(), nullable=False) for name in ("has_left", "is_draining")),
        sa.Column("lost_at", sa.Float(), nullable=True),
        sa.PrimaryKeyConstraint("name"),
    )
    # A process of the version before does not write it, and is taken for one that has been there all the time.
    op.add_column("workers", sa.Column("steady_since", sa.Float(), server_default="0", nullable=False))


def downgrade() -> None:
    """Take it back."""
    op.drop_column("workers", "steady_since")
    op.drop_table("hosts")
