"""Webhooks, and what is still to be told by them."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def _columns(kind: Any, *names: str) -> list[sa.Column[Any]]:
    return [sa.Column(name, kind(), nullable=False) for name in names]


def upgrade() -> None:
    """Carry it out. Until now nobody was told."""
    op.create_table(
        "webhooks",
        *_columns(sa.Text, "id", "account", "url", "types", "sealed_secret"),
        *_columns(sa.Float, "created_at"),
        *_columns(sa.Boolean, "is_on"),
        *_columns(sa.Text, "why_off"),
        *_columns(sa.Boolean, "pending_test"),
        *_columns(sa.BigInteger, "failures"),
        *_columns(sa.Float, "failing_since", "not_before", "tried_at"),
        *_columns(sa.BigInteger, "last_status"),
        *_columns(sa.Text, "last_error"),
        *_columns(sa.BigInteger, "delivered", "missed", "missed_before"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("webhooks_account", "webhooks", ["account"])
    op.create_table(
        "webhook_parcels",
        *_columns(sa.BigInteger, "seq"),
        *_columns(sa.Text, "webhook", "event"),
        *_columns(sa.Float, "at"),
        *_columns(sa.Text, "noun", "id"),
        sa.Column("old", sa.Text(), nullable=True),
        sa.Column("new", sa.Text(), nullable=True),
        *_columns(sa.Text, "account", "region", "name"),
        *_columns(sa.BigInteger, "attempts"),
        sa.PrimaryKeyConstraint("seq"),
    )
    op.create_index("webhook_parcels_webhook", "webhook_parcels", ["webhook", "seq"])


def downgrade() -> None:
    """Take it back."""
    op.drop_index("webhook_parcels_webhook", "webhook_parcels")
    op.drop_table("webhook_parcels")
    op.drop_index("webhooks_account", "webhooks")
    op.drop_table("webhooks")
