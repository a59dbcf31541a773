"""VPCs reach across hosts."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Carry it out. A host says where it hears others from its next start on; until then its VPCs are its own."""
    op.create_table(
        "tunnel_ends",
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("host"),
    )
    op.create_table(
        "vpc_numbers",
        sa.Column("vpc", sa.Text(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("vpc"),
    )
    op.create_index("vpc_numbers_number", "vpc_numbers", ["number"], unique=True)


def downgrade() -> None:
    """Take it back."""
    op.drop_index("vpc_numbers_number", "vpc_numbers")
    op.drop_table("vpc_numbers")
    op.drop_table("tunnel_ends")
