"""The system on a disk is one value: its later facts for disks, snapshots and instances too.

What an image said of a detection goes: none was ever made.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_ADDED = {
    "disks": ("nvme_support", "secure_boot", "license_type"),
    "snapshots": ("nvme_support", "secure_boot", "license_type"),
    "instances": ("imds_support", "nvme_support", "secure_boot", "license_type"),
}
#: Which image a row's system came with, as far as the row tells.
_MADE_OF = {"disks": "disks.image", "snapshots": "snapshots.made_for", "instances": "instances.image"}


def upgrade() -> None:
    """Carry it out. What a row's image says of the system is taken over; what no image says stays unknown."""
    for table, columns in _ADDED.items():
        with op.batch_alter_table(table, schema=None) as batch_op:
            for column in columns:
                batch_op.add_column(sa.Column(column, sa.Text(), nullable=False, server_default=""))
        image = f"FROM images WHERE images.id = {_MADE_OF[table]}"
        for column in columns:
            has_system = f"{table}.platform <> ''"
            op.execute(
                f"UPDATE {table} SET {column} = (SELECT images.{column} {image}) "  # noqa: S608 - names of our own.
                f"WHERE {has_system} AND EXISTS (SELECT 1 {image})"
            )
    with op.batch_alter_table("images", schema=None) as batch_op:
        batch_op.drop_column("detection")


def downgrade() -> None:
    """Take it back."""
    with op.batch_alter_table("images", schema=None) as batch_op:
        batch_op.add_column(sa.Column("detection", sa.Text(), nullable=False, server_default=""))
    for table, columns in _ADDED.items():
        with op.batch_alter_table(table, schema=None) as batch_op:
            for column in columns:
                batch_op.drop_column(column)
