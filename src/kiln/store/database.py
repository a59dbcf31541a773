"""The database: SQLite in the data folder, or PostgreSQL.

Two kinds of transaction. A **read** sees one snapshot and blocks nobody. A
**write** is serialisable: what it read still holds when it commits, so an
operation may check and then record without thinking of the others. On SQLite
that is one writer at a time (queued in memory, then ``BEGIN IMMEDIATE``); on
PostgreSQL it is SERIALIZABLE, run again when the server says so.

A commit that has returned is on disk: WAL with ``synchronous=FULL`` (one fsync
a commit) on SQLite, the server's default on PostgreSQL.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, CursorResult, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError

Result = TypeVar("Result")

#: Give up after so many tries of one PostgreSQL transaction; with the growing pauses that is some 3 seconds.
_TRIES = 12

_RETRIED_STATES = ("40001", "40P01")  #: serialization_failure and deadlock_detected.


class Transaction:
    """One transaction.

    Statements go through ``execute``, or in the driver's own spelling through
    ``driver``; ``after_commit`` runs what must follow a commit.
    """

    def __init__(self, connection: Connection) -> None:
        self.dialect = connection.dialect
        self.execute: Callable[..., CursorResult[Any]] = connection.execute
        self.driver: Callable[..., CursorResult[Any]] = connection.exec_driver_sql
        self._after: list[Callable[[], None]] = []

    def after_commit(self, action: Callable[[], None]) -> None:
        """Have *action* called once the transaction is durable; never when it is rolled back."""
        self._after.append(action)

    def settle(self) -> None:
        """Run what ``after_commit`` was told; for Database alone."""
        for action in self._after:
            action()


class Rollback(Exception):
    """Raised within a transaction to leave it without changing anything, carrying a result."""

    def __init__(self, result: Any) -> None:
        super().__init__()
        self.result = result


class Database:
    """A database and how to run transactions on it."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.is_sqlite = engine.dialect.name == "sqlite"
        self._writer = threading.Lock()
        self._write_engine = engine.execution_options(
            **({"kiln_write": True} if self.is_sqlite else {"isolation_level": "SERIALIZABLE"})
        )
        self._read_engine = (
            engine
            if self.is_sqlite
            else engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        )

    @contextmanager
    def read(self) -> Iterator[Transaction]:
        """A snapshot to read from."""
        with self._read_engine.connect() as connection, connection.begin():
            yield Transaction(connection)

    def write(self, work: Callable[[Transaction], Result]) -> Result:
        """Run *work* in a serialisable transaction and commit; *work* may be run more than once.

        Raises whatever *work* raises, after rolling back. A ``Rollback`` rolls
        back and returns what it carries.
        """
        if self.is_sqlite:
            with self._writer:
                tx, result = self._attempt(work)
        else:
            tx, result = self._insist(work)
        if tx is not None:
            tx.settle()
        return result

    def _attempt(self, work: Callable[[Transaction], Result]) -> tuple[Transaction | None, Result]:
        with self._write_engine.connect() as connection:
            tx = Transaction(connection)
            try:
                with connection.begin():
                    result = work(tx)
            except Rollback as e:
                return None, e.result
            return tx, result

    def _insist(self, work: Callable[[Transaction], Result]) -> tuple[Transaction | None, Result]:
        for attempt in range(_TRIES):
            try:
                return self._attempt(work)
            except (OperationalError, IntegrityError, DBAPIError) as e:
                if not _is_worth_another_try(e) or attempt == _TRIES - 1:
                    raise
                # Waiting a little, and not in step with the others, lets one of the rivals finish.
                time.sleep(random.uniform(0, 0.001 * 2**attempt))  # noqa: S311 - no secret depends on it.
        raise AssertionError("unreachable")

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()


def _is_worth_another_try(error: DBAPIError) -> bool:
    """Whether a rival was in the way: then the same work, run again, sees what the rival did.

    A unique violation is such a case too: under SERIALIZABLE it is what a
    transaction gets whose check came before the rival's commit.
    """
    return isinstance(error, IntegrityError) or getattr(error.orig, "sqlstate", None) in _RETRIED_STATES


def open_sqlite(path: Path) -> Database:
    """Open (and make) the database file at *path*."""
    # An idle connection costs some 100 KiB; a reader more than the pool holds waits for one.
    engine = create_engine(
        f"sqlite:///{path}",
        connect_args={"check_same_thread": False, "timeout": 30, "cached_statements": 512},
        pool_size=8,
        max_overflow=24,
    )

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _: Any) -> None:
        # Python's own transaction handling is switched off, so that the BEGIN below is the only one.
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.execute("PRAGMA cache_size=-8192")
        cursor.execute("PRAGMA busy_timeout=30000")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get("kiln_write", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return Database(engine)


def open_postgresql(url: str) -> Database:
    """Open the PostgreSQL database at *url* (``postgresql://user@host/name``)."""
    scheme, _, rest = url.partition("://")
    if scheme not in ("postgresql", "postgres", "postgresql+psycopg"):
        raise ValueError(f"not a PostgreSQL address: {url}")
    return Database(create_engine(f"postgresql+psycopg://{rest}", pool_size=8, max_overflow=24, pool_pre_ping=True))
