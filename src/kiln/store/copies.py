"""All rows of one database in another, whichever kind each is: so a database of PostgreSQL is kept, and put back."""

from __future__ import annotations

from sqlalchemy import insert, select, text

from kiln.store.database import Database
from kiln.store.rows import metadata
from kiln.store.schema import create

_AT_ONCE = 500


class NotEmpty(Exception):
    """The database that is to be filled has tables already."""


def copy_rows(source: Database, target: Database) -> None:
    """Fill *target*, which has no tables yet, with one moment of *source*, whose tables are of the newest form.

    Whole or not at all, but for the tables, which are made first. Raises NotEmpty, DatabaseFull.
    """
    with target.engine.connect() as connection:
        if target.engine.dialect.has_table(connection, "alembic_version"):
            raise NotEmpty("it has tables already")
    create(target)
    with source.read() as tx, target.engine.begin() as filling:
        for table in metadata.sorted_tables:
            found = tx.execute(select(table)).mappings()
            while rows := found.fetchmany(_AT_ONCE):
                filling.execute(insert(table), [dict(row) for row in rows])
        if filling.dialect.name == "sqlite":
            filling.execute(text("PRAGMA optimize"))
