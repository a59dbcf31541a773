"""Upgrading a database that an older Kiln made: said, and with a copy kept beside it first.

Only whoever serves does it, and holds the data folder meanwhile.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from kiln.ground.durable import sync
from kiln.ground.journal import Journal
from kiln.ground.killpoints import reach
from kiln.store import schema
from kiln.store.database import Database
from kiln.store.errors import DatabaseFull
from kiln.store.faults import full_said

Say = Callable[[str], None]

log = Journal("kiln.service")

_KEPT = 2  #: Copies; older ones are removed.


def upgrade(database: Database, file: Path, say: Say) -> None:
    """Bring the tables to the newest form. Raises SchemaTooNew, DatabaseFull.

    The copy that is kept of a *file* of an older version is whole before anything is changed.
    """
    found = schema.version(database)
    if found is not None and found < schema.NEWEST and database.is_sqlite:
        copy = keep_copy(file, found)
        say(f"upgrading the database from version {found} to {schema.NEWEST}; as it was it is kept in {copy}")
    schema.create(database)
    if found != schema.NEWEST:
        log.info("database_migrated", version_before=found or "none", version=schema.NEWEST)


def keep_copy(file: Path, version: str) -> Path:
    """Copy the database beside itself, with what is still in its log; returns where. Raises DatabaseFull."""
    copy = file.with_name(f"{file.name}.of-{version}")
    draft = copy.with_name(copy.name + ".draft")
    draft.unlink(missing_ok=True)
    try:
        with full_said(), closing(sqlite3.connect(file)) as source, closing(sqlite3.connect(draft)) as target:
            source.backup(target)
        draft.chmod(0o600)
        sync(draft)
        reach("upgrading.copied")
        draft.rename(copy)
        sync(copy.parent)
        reach("upgrading.kept")
    except DatabaseFull:
        draft.unlink(missing_ok=True)
        raise
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise DatabaseFull(f"a copy of it cannot be kept: {error.strerror}") from error
    for old in sorted(file.parent.glob(f"{file.name}.of-[0-9][0-9][0-9][0-9]"))[:-_KEPT]:
        with contextlib.suppress(OSError):
            old.unlink()
    return copy
