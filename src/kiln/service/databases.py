"""Opening the database that the settings name."""

from __future__ import annotations

import os

from kiln.service.errors import DatabaseUnusable
from kiln.service.settings import Settings
from kiln.store import schema
from kiln.store.database import Database, DatabaseDown, DatabaseFull, open_postgresql, open_sqlite


def open_database(settings: Settings) -> Database:
    """The database, with its tables; nobody else may read the files that are made for it. Raises DatabaseUnusable."""
    database = open_postgresql(settings.database) if settings.database else open_sqlite(settings.folder.database)
    before = os.umask(0o077)  # For the files that SQLite makes.
    try:
        if database.is_sqlite:
            database.probe(lambda _: None)
        schema.create(database)
    except BaseException as error:
        database.close()
        if isinstance(error, DatabaseDown | DatabaseFull | schema.SchemaTooNew):
            where = settings.folder.database if database.is_sqlite else "the database"
            raise DatabaseUnusable(f"{where}: {error}") from error
        raise
    finally:
        os.umask(before)
    return database
