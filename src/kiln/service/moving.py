"""``kiln db copy``: all that a Kiln knows from one database into another, while nobody works with either.

What the data folder has (pool, keys, buckets) stays as it is, and goes with both: whichever is served next begins the
next generation, and the pool refuses the other from then on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace

from kiln.service.claim import hold_data_folder
from kiln.service.databases import damage_told, hold_database, open_database, require_whole
from kiln.service.errors import DatabaseUnusable
from kiln.service.pairing import require_pair
from kiln.service.pools import hold_pool
from kiln.service.records import pool_told
from kiln.service.settings import Settings
from kiln.service.upgrading import Say
from kiln.store import copies
from kiln.store.copies import NotAlike, NotEmpty
from kiln.store.errors import DatabaseBusy, DatabaseDown, DatabaseFull

EMBEDDED = "sqlite"  #: As the target: the one in the data folder.


class NotCopied(DatabaseUnusable):
    """The other database cannot be filled; nothing was written there but tables. The message says why."""


def target_of(settings: Settings, to: str) -> Settings:
    """The same Kiln with the database *to*, which was checked. Raises NotCopied where that is the one it has."""
    target = replace(settings, database="" if to == EMBEDDED else to)
    if place_of(target) == place_of(settings):
        raise NotCopied(f"{place_of(target)} is the database that is to be copied")
    return target


def place_of(settings: Settings) -> str:
    """Where the database is, for people."""
    return settings.server.shown if settings.database else str(settings.folder.database)


def copy_database(settings: Settings, target: Settings, say: Say, count: Callable[[int, int], None]) -> int:
    """Copy every row, and compare each; returns how many there are. May be killed at any line, and be begun again.

    Raises NotCopied, DatabaseUnusable, DatabaseHeld, DataFolderBusy, DeploymentRefused: nothing was changed then.
    """
    with (
        hold_data_folder(settings.data),
        hold_database(settings),
        hold_database(target),
        hold_pool(settings),
    ):
        require_whole(settings)
        with pool_told(settings):
            require_pair(settings, strays=False)
        with ExitStack() as stack, damage_told(settings), _told(target):
            source = open_database(settings, None)
            stack.callback(source.close)
            there = open_database(target, say)
            stack.callback(there.close)
            return copies.copy_rows(source, there, count)


@contextmanager
def _told(target: Settings) -> Iterator[None]:
    try:
        yield
    except (NotEmpty, NotAlike, DatabaseDown, DatabaseBusy, DatabaseFull) as error:
        raise NotCopied(f"{place_of(target)}: {error}") from error
