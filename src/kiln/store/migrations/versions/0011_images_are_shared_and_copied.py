"""With whom images are shared, and of which snapshot a snapshot is a copy."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_ADDED = ("source_snapshot", "source_region")


def upgrade() -> None:
    """Carry it out. Until now nothing was shared or copied."""
    op.create_table(
        "image_shares",
        sa.Column("image", sa.Text(), nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("shared_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("image", "account"),
    )
    op.create_index("image_shares_account", "image_shares", ["account"])
    with op.batch_alter_table("snapshots", schema=None) as batch_op:
        for name in _ADDED:
            batch_op.add_column(sa.Column(name, sa.Text(), nullable=False, server_default=""))


def downgrade() -> None:
    """Take it back."""
    with op.batch_alter_table("snapshots", schema=None) as batch_op:
        for name in _ADDED:
            batch_op.drop_column(name)
    op.drop_index("image_shares_account", "image_shares")
    op.drop_table("image_shares")
