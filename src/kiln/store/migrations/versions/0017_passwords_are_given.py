"""Guests are given their passwords."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Carry it out.

    A guest that has run may have another password by now than the one that was remembered: somebody within gave it.
    Where none was, guests had their image's.
    """
    with op.batch_alter_table("instances", schema=None) as batch_op:
        for name in ("password_due", "password_inherit"):
            batch_op.add_column(sa.Column(name, sa.Boolean(), nullable=False, server_default=sa.false()))
    op.execute("UPDATE instances SET password_due = TRUE WHERE password <> '' AND NOT ever_started")
    op.execute("UPDATE instances SET password_inherit = TRUE WHERE password = ''")


def downgrade() -> None:
    """Take it back."""
    with op.batch_alter_table("instances", schema=None) as batch_op:
        batch_op.drop_column("password_inherit")
        batch_op.drop_column("password_due")
