"""Terminal sessions are known to all processes."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Carry it out. Sessions of before were in the memory of one process, and end with it."""
    about = ("id", "account", "region", "instance", "status", "token_hash", "client_host", "reason", "door")
    by_whom = ("access_key_id", "role", "role_name", "role_parent")
    op.create_table(
        "terminals",
        *(sa.Column(name, sa.Text(), nullable=False) for name in (*about, *by_whom)),
        *(sa.Column(name, sa.Float(), nullable=False) for name in ("created_at", "role_expires_at")),
        *(sa.Column(name, sa.Float(), nullable=True) for name in ("started_at", "ended_at")),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("terminals_list", "terminals", ["account", "region", "created_at", "id"])
    op.create_index("terminals_status", "terminals", ["status", "instance"])


def downgrade() -> None:
    """Take it back."""
    op.drop_index("terminals_status", "terminals")
    op.drop_index("terminals_list", "terminals")
    op.drop_table("terminals")
