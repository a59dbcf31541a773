"""How long a layer's file is."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Carry it out. Of layers that were made before it is not known, and nobody finds it out afterwards."""
    with op.batch_alter_table("volumes", schema=None) as batch_op:
        batch_op.add_column(sa.Column("file_bytes", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    """Take it back."""
    with op.batch_alter_table("volumes", schema=None) as batch_op:
        batch_op.drop_column("file_bytes")
