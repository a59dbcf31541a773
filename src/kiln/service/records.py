"""What we know, without what it is about: a Kiln's database and its secrets, for words that change single rows.

It does not know the pool's disks and the machines, and so is open in half the time that a whole Kiln takes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from kiln.ground.clock import Clock, system_clock
from kiln.ground.values import dataclass
from kiln.service.ballast import Ballast
from kiln.service.databases import damage_told, open_database, require_there, require_whole
from kiln.service.errors import DatabaseUnusable, PoolUnusable
from kiln.service.pairing import require_pair
from kiln.service.secrets import Sealer
from kiln.service.settings import Settings
from kiln.service.upgrading import Say
from kiln.store.database import Database


@dataclass(frozen=True, kw_only=True)
class Records:
    """The database of a Kiln that has run, and what its secrets are sealed with."""

    database: Database
    sealer: Sealer
    clock: Clock


@contextmanager
def open_records(settings: Settings, *, is_quick: bool = False) -> Iterator[Records]:
    """The records beside a server that may be running; tables are not made or changed. Raises as ``assemble`` does."""
    require_whole(settings, is_quick=is_quick)
    with pool_told(settings):
        require_pair(settings, strays=False)
    with damage_told(settings):
        require_there(settings)
        database = open_with_room(settings, Ballast(settings.folder.ballast), None)
        try:
            yield Records(database=database, sealer=Sealer.in_folder(settings.folder.shared), clock=system_clock)
        finally:
            database.close()


@contextmanager
def pool_told(settings: Settings) -> Iterator[None]:
    """Say of the pool what a fault of its folder is: read-only, another user's, on a disk that fails."""
    try:
        yield
    except OSError as error:
        raise PoolUnusable(f"{error.filename or settings.folder.pool}: {error.strerror}") from error


def open_with_room(settings: Settings, ballast: Ballast, say: Say | None) -> Database:
    """The database with its tables. SQLite needs room to read, too: whoever closes it last removes its log's index."""
    try:
        database = open_database(settings, say)
    except DatabaseUnusable:
        if not ballast.give_up():
            raise
        database = open_database(settings, say)
    if database.is_sqlite:
        database.make_room, database.is_room_given_up = ballast.give_up, ballast.is_given_up
    return database
