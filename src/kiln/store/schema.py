"""All tables, so that whoever makes a database makes them all; and whether a database has them."""

from __future__ import annotations

from kiln.store import accounts, disks, images, instances, snapshots, tags, tasks, tokens, volumes
from kiln.store.database import Database
from kiln.store.rows import metadata

#: Named so that every table is known to the metadata by the time somebody asks.
NOUNS = (accounts, disks, images, instances, snapshots, tags, tasks, tokens, volumes)


def create(database: Database) -> None:
    """Make every table that is not there yet."""
    metadata.create_all(database.engine)
