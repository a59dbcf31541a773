"""A look at a database that changes nothing: not its tables, not its files.

It comes before everything else, when nobody knows yet whether the database is
the right one; so it copes with one of an older Kiln, and with none.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, NullPool, create_engine, inspect, text
from sqlalchemy.exc import SQLAlchemyError

from kiln.ground.values import dataclass
from kiln.store import schema
from kiln.store.conninfo import Server
from kiln.store.database import open_postgresql
from kiln.store.deployment import Deployment
from kiln.store.errors import DatabaseDown
from kiln.store.faults import of_driver, words_of

Seen = TypeVar("Seen")

_COMPLAINTS_MOST = 5  #: More of them tell an operator nothing more.


@dataclass(frozen=True, kw_only=True)
class Glance:
    """What was seen of a database."""

    deployment: Deployment | None
    batch: int  #: Of records; 0 before the first.
    volumes: frozenset[str]  #: Those that have a row, also as one in the trash: a rename may not have reached the disk.
    is_empty: bool  #: It has no tables, or nothing in those that could name a volume.


def glance_at_sqlite(path: Path) -> Glance | None:
    """See what the file at *path* has; None when there is none, or nothing in it. Raises DatabaseDown, SchemaTooNew."""
    engine = _engine_of(path)
    return None if engine is None else _look(engine, _see)


def damage_of_sqlite(path: Path, *, is_quick: bool = False, is_open: bool = False) -> str | None:
    """What a check of the file at *path* complains of, in SQLite's words; None when it is whole or not there.

    The full one compares every index with its table, the quick one only looks at each page. *is_open* says that this
    process has the database open, and may write meanwhile. Nothing is changed. Raises DatabaseDown where the file
    cannot be read.
    """
    engine = _engine_of(path, is_open=is_open)
    if engine is None:
        return None
    check = "quick_check" if is_quick else "integrity_check"
    try:
        with closing(engine.raw_connection()) as pooled:
            connection: Any = pooled.driver_connection
            # What a damaged page says need be no text.
            connection.text_factory = lambda text: text.decode(errors="replace")
            said = [str(row[0]) for row in connection.execute(f"PRAGMA {check}({_COMPLAINTS_MOST})")]
    except (SQLAlchemyError, sqlite3.Error) as error:
        reason = words_of(error)
        if isinstance(of_driver(error), sqlite3.OperationalError):
            raise DatabaseDown(reason) from error
        return reason
    except UnicodeDecodeError:
        # Python cannot even read the error, which quotes the damaged page.
        return "a page holds what is no text"
    finally:
        engine.dispose()
    return None if said == ["ok"] else "; ".join(" ".join(text.split()) for text in said)


def copy_of_sqlite(path: Path, copy: Path) -> None:
    """Copy the database at *path*, with what is still in its log; nothing at *path* is changed. Raises DatabaseDown."""
    engine = _engine_of(path)
    if engine is None:
        return
    try:
        with closing(engine.raw_connection()) as pooled, closing(sqlite3.connect(copy)) as target:
            source: Any = pooled.driver_connection
            source.backup(target)
    except (SQLAlchemyError, sqlite3.Error) as error:
        raise DatabaseDown(words_of(error)) from error
    finally:
        engine.dispose()


def _engine_of(path: Path, *, is_open: bool = False) -> Engine | None:
    log = path.with_name(path.name + "-wal")
    has_log = _length(log) > 0
    if _length(path) == 0 and not has_log:
        return None
    # Without a log nobody has it open, and what is said to be immutable is read without making files beside it.
    how = "mode=ro" if has_log or is_open else "mode=ro&immutable=1"

    def connect() -> sqlite3.Connection:
        return sqlite3.connect(f"{path.absolute().as_uri()}?{how}", uri=True, timeout=30)

    return create_engine("sqlite://", creator=connect, poolclass=NullPool)


def version_of_sqlite(path: Path) -> str | None:
    """The version of the tables; None where there are none. Raises DatabaseDown, SchemaTooNew."""
    engine = _engine_of(path)
    return None if engine is None else _look(engine, _version_of)


def version_of_postgresql(server: Server) -> str | None:
    """As ``version_of_sqlite``."""
    return _look(open_postgresql(server).engine, _version_of)


def _version_of(connection: Connection) -> str | None:
    schema.refuse_newer(connection)
    return schema.version_in(connection)


def refuse_newer_sqlite(path: Path) -> None:
    """Look at the version of the tables alone. Raises SchemaTooNew; DatabaseDown where they cannot be read."""
    engine = _engine_of(path)
    if engine is not None:
        _look(engine, schema.refuse_newer)


def refuse_newer_postgresql(server: Server) -> None:
    """As ``refuse_newer_sqlite``."""
    _look(open_postgresql(server).engine, schema.refuse_newer)


def glance_at_postgresql(server: Server) -> Glance:
    """See what the database of *server* has. Raises DatabaseDown, SchemaTooNew."""
    return _look(open_postgresql(server).engine, _see)


def _look(engine: Engine, see: Callable[[Connection], Seen]) -> Seen:
    try:
        with engine.connect() as connection:
            return see(connection)
    except (SQLAlchemyError, sqlite3.Error) as error:
        raise DatabaseDown(words_of(error)) from error
    finally:
        engine.dispose()


def _see(connection: Connection) -> Glance:
    schema.refuse_newer(connection)
    tables = set(inspect(connection).get_table_names())
    found = None
    if "deployment" in tables:
        row = connection.execute(text("SELECT id, generation, mark, created_at FROM deployment")).first()
        if row is not None:
            found = Deployment(id=row.id, generation=row.generation, mark=row.mark, created_at=row.created_at)
    batch = connection.execute(text("SELECT max(batch) FROM recorded")).scalar() if "recorded" in tables else 0
    volumes = frozenset(one for table in ("volumes", "discards") if table in tables for one in _ids(connection, table))
    has: Callable[[str], bool] = lambda table: table in tables and bool(_ids(connection, table, 1))  # noqa: E731
    is_empty = not volumes and not any(map(has, ("images", "snapshots", "disks", "instances")))
    return Glance(deployment=found, batch=batch or 0, volumes=volumes, is_empty=is_empty)


def _ids(connection: Connection, table: str, limit: int = -1) -> list[str]:
    most = "" if limit < 0 else f" LIMIT {limit}"
    return list(connection.execute(text(f"SELECT id FROM {table}{most}")).scalars())  # noqa: S608 - names of ours.


def _length(path: Path) -> int:
    try:
        return path.stat().st_size
    except (FileNotFoundError, NotADirectoryError):
        return 0
