"""On which host a machine is and a task is carried out, under which lease, and in which pool a volume lies."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_ADDED: dict[str, dict[str, tuple[sa.types.TypeEngine[Any], str]]] = {
    "instances": {"host": (sa.Text(), "")},
    "tasks": {"host": (sa.Text(), ""), "generation": (sa.BigInteger(), "0")},
    # Until now there was one pool.
    "volumes": {"pool": (sa.Text(), "default")},
}


def upgrade() -> None:
    """Carry it out. Where a machine is that runs now is said by the next start, which finds it on its host."""
    for table, columns in _ADDED.items():
        with op.batch_alter_table(table, schema=None) as batch_op:
            for name, (kind, was) in columns.items():
                batch_op.add_column(sa.Column(name, kind, nullable=False, server_default=was))


def downgrade() -> None:
    """Take it back."""
    for table, columns in _ADDED.items():
        with op.batch_alter_table(table, schema=None) as batch_op:
            for name in columns:
                batch_op.drop_column(name)
