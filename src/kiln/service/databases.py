"""Opening the database that the settings name."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

from kiln.declare.roles import Role
from kiln.service.claim import is_held
from kiln.service.errors import (
    DatabaseAbsent,
    DatabaseDamaged,
    DatabaseHeld,
    DatabaseNewer,
    DatabaseOlder,
    DatabaseUnusable,
)
from kiln.service.settings import Settings
from kiln.service.upgrading import Say, upgrade
from kiln.store import schema
from kiln.store.database import Database, open_postgresql, open_sqlite
from kiln.store.errors import DatabaseBusy, DatabaseDown, DatabaseFull, DatabaseMalformed
from kiln.store.faults import outage_said
from kiln.store.glance import damage_of_sqlite
from kiln.store.hold import Hold, HoldRefused, is_worked_with
from kiln.store.standing import first_fault
from kiln.store.workers import servers_time

_HOST_WITHIN_S, _LOOK_AGAIN_S = 2.0, 0.1


def open_database(settings: Settings, say: Say | None) -> Database:
    """The database, with its tables; nobody else may read the files that are made for it.

    With *say*, which is told of it, tables are made and upgraded; None: the
    database is one that has them in their newest form. Raises DatabaseUnusable:
    DatabaseAbsent where without *say* there is none, DatabaseOlder, DatabaseNewer.
    """
    if say is None:
        require_there(settings)
    database = open_postgresql(settings.server) if settings.database else open_sqlite(settings.folder.database)
    if not database.is_sqlite:
        database.time_of_leases = servers_time
    before = os.umask(0o077)  # For the files that SQLite makes.
    try:
        with outage_said():
            if database.is_sqlite:
                database.probe(lambda _: None)
            else:
                _require_fit(database)
            if say is None:
                schema.require_present(database)
            else:
                upgrade(database, settings.folder.database, say)
    except BaseException as error:
        database.close()
        if isinstance(error, schema.SchemaAbsent):
            raise DatabaseAbsent(f"no Kiln has run in {settings.data} yet") from error
        where = settings.folder.database if database.is_sqlite else "the database"
        if isinstance(error, schema.SchemaOld):
            raise DatabaseOlder(f"{where}: {error}") from error
        if isinstance(error, schema.SchemaTooNew):
            raise DatabaseNewer(f"{where}: {error}") from error
        if isinstance(error, DatabaseDown | DatabaseFull | DatabaseBusy):
            raise DatabaseUnusable(f"{where}: {error}") from error
        raise
    finally:
        os.umask(before)
    return database


def _require_fit(database: Database) -> None:
    """Raise DatabaseDown where the server, or what its user may do there, is not what Kiln needs."""
    fault = first_fault(database, makes_tables=schema.version(database) != schema.NEWEST)
    if fault is not None:
        raise DatabaseDown(fault)


def require_there(settings: Settings) -> None:
    """Raise DatabaseAbsent where no Kiln has made a database in the data folder; of a server's its tables tell."""
    if not settings.database and not settings.folder.database.is_file():
        raise DatabaseAbsent(f"no Kiln has run in {settings.data} yet")


def require_whole(settings: Settings, *, is_quick: bool = False) -> None:
    """Have SQLite check every page, and unless *is_quick* every index against its table, before anything is decided.

    Nothing is changed. Raises DatabaseDamaged, DatabaseUnusable. Pages of PostgreSQL are that server's to check.
    """
    if settings.database:
        return
    file = settings.folder.database
    try:
        damage = damage_of_sqlite(file, is_quick=is_quick)
    except DatabaseDown as error:
        raise DatabaseUnusable(f"{file}: {error}") from error
    if damage is not None:
        raise DatabaseDamaged(f"{file} is damaged, and nothing was changed: {damage}")


@contextmanager
def damage_told(settings: Settings) -> Iterator[None]:
    """Turn damage that only a statement meets into DatabaseDamaged, as a check that finds it is.

    A disk too full for what is to be written becomes DatabaseUnusable.
    """
    try:
        yield
    except DatabaseMalformed as error:
        raise DatabaseDamaged(f"{settings.folder.database} is damaged: {error}") from error
    except DatabaseFull as error:
        raise DatabaseUnusable(f"{settings.folder.database}: {error}") from error


def is_served(settings: Settings, database: Database) -> bool:
    """Whether a Kiln works in the data folder, or anywhere with a *database* that several share; nothing is changed.

    Raises DatabaseDown.
    """
    return is_held(settings.data) or (not database.is_sqlite and database.probe(is_worked_with))


@contextmanager
def hold_database(settings: Settings) -> Iterator[Hold | None]:
    """Keep every other Kiln out of the database; None where the data folder, which the caller holds, does that.

    Raises DatabaseHeld, DatabaseUnusable; and DatabaseHeld at the end when it was lost meanwhile.
    """
    with _held(settings, is_beside=False) as hold:
        yield hold


@contextmanager
def join_database(settings: Settings) -> Iterator[Hold | None]:
    """Work with the database beside others who serve, and keep out who needs it alone; else as ``hold_database``.

    Others who begin wait until ``Hold.open_door``. Who carries out tasks is the only one of its host's name.
    """
    with _held(settings, is_beside=True) as hold:
        if hold is not None and Role(settings.role).works:
            _take_host(settings, hold)
        yield hold


def _take_host(settings: Settings, hold: Hold) -> None:
    deadline = time.monotonic() + _HOST_WITHIN_S
    try:
        # Who gives the host up has its lock for a moment.
        while not (is_free := hold.take_host(settings.host)) and time.monotonic() < deadline:
            time.sleep(_LOOK_AGAIN_S)
    except DatabaseDown as error:
        raise DatabaseUnusable(f"the database: {error}") from error
    if not is_free:
        raise DatabaseHeld(
            f"another Kiln works with the database as host {settings.host}: stop it, or give this one another name "
            "by --host, where both are to serve"
        )


@contextmanager
def _held(settings: Settings, *, is_beside: bool) -> Iterator[Hold | None]:
    if not settings.database:
        yield None
        return
    try:
        hold = Hold(settings.server, is_beside=is_beside)
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
