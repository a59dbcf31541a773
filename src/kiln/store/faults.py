"""What is made of a driver's error: its words, whether somebody was in the way, and what must not stay open."""

from __future__ import annotations

import sqlite3
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError, IntegrityError, InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as NoConnectionFree

from kiln.store.errors import DatabaseBusy, DatabaseDown, DatabaseFull, DatabaseMalformed

_CLOSED = (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN)
#: serialization_failure and deadlock_detected, as the metric has them.
_RETRIED_STATES = {"40001": "serialization", "40P01": "deadlock"}

#: What PostgreSQL says of itself and not of a statement, by a state or the beginning of several, where the state itself
#: is not there.
_OUTAGES: dict[str, type[Exception]] = {
    "08": DatabaseDown,  # The connection broke.
    "0A000": DatabaseDown,  # A standby cannot do what a write begins with; of a primary we ask nothing that it cannot.
    "25006": DatabaseDown,  # It can be read only: a primary that has become a standby.
    "28": DatabaseDown,  # It lets us in no more.
    "3D000": DatabaseDown,  # There is no such database any more.
    "42501": DatabaseDown,  # A right was taken away.
    "53": DatabaseDown,  # It has no memory, or no connection left for us.
    "53100": DatabaseFull,
    "55P03": DatabaseBusy,  # A lock was waited for too long.
    "57": DatabaseDown,  # It is being stopped, has crashed, or is not up yet.
    "57014": DatabaseBusy,  # A statement took too long.
    "58": DatabaseDown,  # A file or a device of its own failed.
}


def of_driver(error: BaseException) -> BaseException:
    """The driver's own error, where SQLAlchemy has put it into one of its own."""
    said: BaseException = getattr(error, "orig", None) or error
    return said


def words_of(error: BaseException) -> str:
    """What the driver says, in one line. SQLAlchemy's own text has the statement in it, which is nobody's business.

    Of hosts and addresses that were tried one after the other each has a line of its own, which all count.
    """
    first, *more = [line.strip() for line in str(of_driver(error)).strip().splitlines()] or [""]
    tried = [line.removeprefix("- ") for line in more if line.startswith("- ")]
    return f"{first} {'; '.join(tried)}" if first.endswith(":") and tried else first


def is_busy(error: BaseException) -> bool:
    """Whether SQLite gave up waiting for another process."""
    return getattr(of_driver(error), "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY


def is_closed(error: BaseException) -> bool:
    """Whether the host lets nothing be written to the SQLite file, or fails to: a disk that is read-only or broken."""
    return getattr(of_driver(error), "sqlite_errorcode", 0) & 0xFF in _CLOSED


def let_go(error: BaseException) -> None:
    """End the statements that the frames of *error* hold open: their reads would outlast the transaction."""
    seen: BaseException | None = error
    while seen is not None:
        traceback.clear_frames(seen.__traceback__)
        seen = seen.__context__


def rivalry_in(error: DBAPIError) -> str:
    """How a rival was in the way, where the same work, run again, sees what the rival did; empty where none was.

    A unique violation is such a case too: under SERIALIZABLE it is what a
    transaction gets whose check came before the rival's commit.
    """
    if isinstance(error, IntegrityError):
        return "unique"
    return _RETRIED_STATES.get(getattr(error.orig, "sqlstate", None) or "", "")


def given_up(error: DBAPIError) -> Exception:
    """What is raised of a transaction that rivals were in the way of at every try."""
    if isinstance(error, IntegrityError):
        return error
    return DatabaseBusy(f"others were in the way at every try: {words_of(error)}")


def outage_in(error: BaseException) -> Exception | None:
    """DatabaseDown, DatabaseBusy or DatabaseFull where PostgreSQL says so in *error*; None when it is about us."""
    if isinstance(error, NoConnectionFree):
        return DatabaseBusy("every connection that Kiln may have is in use")
    if not isinstance(error, DBAPIError) or not hasattr(error.orig, "sqlstate"):
        return None
    state: str | None = getattr(error.orig, "sqlstate")  # noqa: B009 - the type is the driver's, which is optional.
    if state is None:
        # The driver has no state of what befell the connection itself.
        is_connections = isinstance(error, OperationalError | InterfaceError)
        return DatabaseDown(words_of(error)) if is_connections else None
    kind = _OUTAGES.get(state) or _OUTAGES.get(state[:2])
    return None if kind is None else kind(words_of(error))


@contextmanager
def outage_said() -> Iterator[None]:
    """Turn what PostgreSQL says of itself into ours; what rivals and statements are about stays as it is."""
    try:
        yield
    except SQLAlchemyError as error:
        told = outage_in(error)
        if told is None:
            raise
        raise told from error


@contextmanager
def full_said() -> Iterator[None]:
    """Turn SQLite's word for a disk that is full, or takes nothing, into ours, with a statement or with the commit."""
    try:
        yield
    except (OperationalError, sqlite3.OperationalError) as error:
        if "disk is full" in str(error):
            raise DatabaseFull(str(error)) from error
        if is_closed(error):
            raise DatabaseDown(words_of(error)) from error
        raise


def is_of_database(error: BaseException) -> bool:
    """Whether *error* may have left a SQLite transaction other than its statements tell: not one that they foresee."""
    is_sqlites = isinstance(said := of_driver(error), sqlite3.Error) and not isinstance(said, sqlite3.IntegrityError)
    return is_sqlites or isinstance(error, MemoryError | DatabaseDown | DatabaseFull | DatabaseMalformed)


def damage_in(error: BaseException) -> str | None:
    """What SQLite says in *error* of pages that make no sense; None when it is about something else."""
    if isinstance(error, DatabaseMalformed):
        return str(error)
    said = of_driver(error)
    if not isinstance(said, sqlite3.Error):
        return None
    is_malformed = getattr(said, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
    # What we write is text, so what is none was not written by us.
    return str(said) if is_malformed or "Could not decode to UTF-8" in str(said) else None
