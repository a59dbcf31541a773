"""Key pairs are rows."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_TEXTS = ("account", "region", "name", "public_key", "fingerprint", "resource_group")


def upgrade() -> None:
    """Carry it out. Instances may name key pairs that nobody has made: until now any name was kept."""
    op.create_table(
        "key_pairs",
        sa.Column("id", sa.Text(), nullable=False),
        *(sa.Column(name, sa.Text(), nullable=False) for name in _TEXTS),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("key_pairs_name", "key_pairs", ["account", "region", "name"], unique=True)


def downgrade() -> None:
    """Take it back."""
    op.drop_index("key_pairs_name", "key_pairs")
    op.drop_table("key_pairs")
