"""Opening the database that the settings name."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from kiln.service.errors import DatabaseHeld, DatabaseUnusable
from kiln.service.settings import Settings
from kiln.store import schema
from kiln.store.database import Database, DatabaseDown, DatabaseFull, open_postgresql, open_sqlite
from kiln.store.hold import Hold, HoldRefused


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


@contextmanager
def hold_database(settings: Settings) -> Iterator[Hold | None]:
    """Keep every other Kiln out of the database; None where the data folder, which the caller holds, does that.

    Raises DatabaseHeld, DatabaseUnusable; and DatabaseHeld at the end when it was lost meanwhile.
    """
    if not settings.database:
        yield None
        return
    try:
        hold = Hold(settings.database)
    except HoldRefused:
        raise DatabaseHeld("another Kiln works with the database") from None
    except DatabaseDown as error:
        raise DatabaseUnusable(f"the database: {error}") from error
    try:
        yield hold
    finally:
        hold.release()
    if hold.is_lost:
        raise DatabaseHeld("the connection that kept the database for this Kiln was lost: nothing was written since")
