"""Commands, and what is done within guests."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def _text(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.Text(), nullable=False) for name in names]


def _moment(name: str, *, nullable: bool = False) -> sa.Column[float]:
    return sa.Column(name, sa.Float(), nullable=nullable)


def upgrade() -> None:
    """Carry it out. Until now nothing was done within guests."""
    op.create_table(
        "commands",
        *_text("id", "account", "region", "name", "description", "type", "content", "working_dir"),
        sa.Column("timeout_s", sa.BigInteger(), nullable=False),
        sa.Column("enable_parameter", sa.Boolean(), nullable=False),
        *_text("resource_group"),
        _moment("created_at"),
        sa.Column("invoked", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("commands_list", "commands", ["account", "region", "created_at", "id"])
    op.create_table(
        "invocations",
        *_text("id", "account", "region", "kind", "status", "name", "description", "content"),
        sa.Column("timeout_s", sa.BigInteger(), nullable=False),
        *_text("resource_group"),
        _moment("created_at"),
        *_text("command", "type", "parameters"),
        sa.Column("enable_parameter", sa.Boolean(), nullable=False),
        *_text("working_dir", "username", "target_dir", "content_type", "file_owner", "file_group", "file_mode"),
        sa.Column("overwrite", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("invocations_list", "invocations", ["account", "region", "kind", "created_at", "id"])
    op.create_index("invocations_age", "invocations", ["created_at"])
    op.create_table(
        "invocation_results",
        *_text("invocation", "instance", "account", "region", "kind", "command", "task", "status"),
        sa.Column("exit_code", sa.BigInteger(), nullable=True),
        *_text("output"),
        sa.Column("dropped", sa.BigInteger(), nullable=False),
        *_text("error_code", "error_info"),
        _moment("created_at"),
        _moment("updated_at"),
        *(_moment(name, nullable=True) for name in ("started_at", "finished_at", "stopped_at")),
        sa.PrimaryKeyConstraint("invocation", "instance"),
    )
    op.create_index("invocation_results_list", "invocation_results", ["account", "region", "kind", "created_at"])
    op.create_index("invocation_results_instance", "invocation_results", ["instance", "status"])
    op.create_index("invocation_results_task", "invocation_results", ["task"])


def downgrade() -> None:
    """Take it back."""
    for name in ("invocation_results_task", "invocation_results_instance", "invocation_results_list"):
        op.drop_index(name, "invocation_results")
    op.drop_table("invocation_results")
    for name in ("invocations_age", "invocations_list"):
        op.drop_index(name, "invocations")
    op.drop_table("invocations")
    op.drop_index("commands_list", "commands")
    op.drop_table("commands")
