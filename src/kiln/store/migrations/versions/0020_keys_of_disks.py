"""With which key a disk, a snapshot and a disk of an image is encrypted."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

_TABLES = ("disks", "snapshots", "image_disks")


def upgrade() -> None:
    """Carry it out. Until now nothing was encrypted."""
    for table in _TABLES:
        with op.batch_alter_table(table, schema=None) as batch_op:
            batch_op.add_column(sa.Column("kms_key", sa.Text(), nullable=False, server_default=""))


def downgrade() -> None:
    """Take it back."""
    for table in _TABLES:
        with op.batch_alter_table(table, schema=None) as batch_op:
            batch_op.drop_column("kms_key")
