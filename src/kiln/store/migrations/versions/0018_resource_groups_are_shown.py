"""What is shown of a resource group, and when it was made."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Carry it out. Nobody knows when those were made that are there."""
    with op.batch_alter_table("resource_groups", schema=None) as batch_op:
        batch_op.add_column(sa.Column("display_name", sa.Text(), nullable=False, server_default=""))
        batch_op.add_column(sa.Column("created_at", sa.Float(), nullable=False, server_default="0"))


def downgrade() -> None:
    """Take it back."""
    with op.batch_alter_table("resource_groups", schema=None) as batch_op:
        batch_op.drop_column("created_at")
        batch_op.drop_column("display_name")
