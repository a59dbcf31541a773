"""Calls that change something are kept in an audit."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

_TEXTS = ("id", "service", "name", "caller", "access_key", "error", "resources", "detail")


def upgrade() -> None:
    """Carry it out. What was called before is not known."""
    op.create_table(
        "audit",
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        *(sa.Column(name, sa.Text(), nullable=False) for name in _TEXTS),
        sa.PrimaryKeyConstraint("account", "at", "id"),
    )
    condition = sa.text("error <> ''")
    op.create_index("audit_refused", "audit", ["account", "at"], sqlite_where=condition, postgresql_where=condition)


def downgrade() -> None:
    """Take it back."""
    op.drop_index("audit_refused", "audit")
    op.drop_table("audit")
