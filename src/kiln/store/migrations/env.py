"""What Alembic runs to carry out migrations: on the connection that ``store.schema`` hands it."""

from __future__ import annotations

from alembic import context

from kiln.store.rows import metadata
from kiln.store.schema import name_conditions_for_postgresql

name_conditions_for_postgresql()

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=metadata, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
