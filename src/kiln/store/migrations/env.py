"""What Alembic runs to carry out migrations: on the connection that ``store.schema`` hands it."""

from __future__ import annotations

from alembic import context

from kiln.store.rows import metadata

# Whoever names PostgreSQL in a declaration has SQLAlchemy load all that it knows of it, a tenth of a start on SQLite.
for table in metadata.tables.values():
    for index in table.indexes:
        index.dialect_kwargs["postgresql_where"] = index.dialect_options["sqlite"]["where"]

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=metadata, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
