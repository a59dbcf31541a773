"""What is made of a driver's error: its words, whether somebody was in the way, and what must not stay open."""

from __future__ import annotations

import sqlite3
import traceback

from sqlalchemy.exc import DBAPIError, IntegrityError

_CLOSED = (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN)
_RETRIED_STATES = ("40001", "40P01")  #: serialization_failure and deadlock_detected.


def of_driver(error: BaseException) -> BaseException:
    """The driver's own error, where SQLAlchemy has put it into one of its own."""
    said: BaseException = getattr(error, "orig", None) or error
    return said


def words_of(error: BaseException) -> str:
    """What the driver says, in one line. SQLAlchemy's own text has the statement in it, which is nobody's business."""
    return str(of_driver(error)).strip().partition("\n")[0]


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


def is_worth_another_try(error: DBAPIError) -> bool:
    """Whether a rival was in the way: then the same work, run again, sees what the rival did.

    A unique violation is such a case too: under SERIALIZABLE it is what a
    transaction gets whose check came before the rival's commit.
    """
    return isinstance(error, IntegrityError) or getattr(error.orig, "sqlstate", None) in _RETRIED_STATES
