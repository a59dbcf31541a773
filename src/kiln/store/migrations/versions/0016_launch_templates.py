"""Launch templates, and their versions."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def _text(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.Text(), nullable=False) for name in names]


def _number(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=False)


def _moment(name: str) -> sa.Column[float]:
    return sa.Column(name, sa.Float(), nullable=False)


def upgrade() -> None:
    """Carry it out. Until now there were none."""
    op.create_table(
        "launch_templates",
        *_text("id", "account", "region", "name", "resource_group"),
        _number("default_version"),
        _number("last_number"),
        *_text("created_by"),
        _moment("created_at"),
        _moment("modified_at"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("launch_templates_name", "launch_templates", ["account", "region", "name"], unique=True)
    op.create_index("launch_templates_list", "launch_templates", ["account", "region", "created_at", "id"])
    op.create_table(
        "launch_template_versions",
        *_text("template"),
        _number("number"),
        *_text("description", "data", "created_by"),
        _moment("created_at"),
        sa.PrimaryKeyConstraint("template", "number"),
    )


def downgrade() -> None:
    """Take it back."""
    op.drop_table("launch_template_versions")
    for name in ("launch_templates_list", "launch_templates_name"):
        op.drop_index(name, "launch_templates")
    op.drop_table("launch_templates")
