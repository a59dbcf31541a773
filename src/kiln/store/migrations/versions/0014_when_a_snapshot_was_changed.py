"""When a snapshot was changed last."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Carry it out. Nobody knows of what was changed before."""
    with op.batch_alter_table("snapshots", schema=None) as batch_op:
        batch_op.add_column(sa.Column("modified_at", sa.Float(), nullable=True))


def downgrade() -> None:
    """Take it back."""
    with op.batch_alter_table("snapshots", schema=None) as batch_op:
        batch_op.drop_column("modified_at")
