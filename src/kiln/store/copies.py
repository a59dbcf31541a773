"""All rows of one database in another, whichever kind each is: so one moves, is kept, and is put back."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from itertools import zip_longest
from typing import Any

from sqlalchemy import Connection, Table, Text, func, insert, literal, select, text
from sqlalchemy.exc import DataError

from kiln.ground.killpoints import reach
from kiln.store.database import Database, Transaction
from kiln.store.faults import full_said, outage_said, words_of
from kiln.store.patience import unhurried
from kiln.store.rows import metadata
from kiln.store.schema import create

_AT_ONCE = 500

_SAID_MOST = 3

Count = Callable[[int, int], None]  #: Of all that is to be done how much is, and how much there is.
Reader = Transaction | Connection


class NotEmpty(Exception):
    """The database that is to be filled has rows already."""


class NotAlike(Exception):
    """A row cannot be had in the other database as it is, or is another there; nothing was written."""


def copy_rows(source: Database, target: Database, count: Count = lambda _done, _total: None) -> int:
    """Fill *target*, which has no rows yet, with one moment of *source*, whose tables are of the newest form.

    Each row is compared before the one transaction that has them all is committed: so there are all of them or none.
    The tables are made before, where there are none. Returns how many rows there are.
    Raises NotEmpty, NotAlike, DatabaseFull, DatabaseDown, DatabaseBusy.
    """
    with full_said(), outage_said():
        create(target)
        reach("copies.tables_made")
        with source.read() as tx, tx.unhurried(), target.engine.begin() as filling, unhurried(filling):
            filled = [table.name for table in metadata.sorted_tables if _has_rows(filling, table)]
            if filled:
                raise NotEmpty(f"it has rows already, of {', '.join(filled[:_SAID_MOST])}")
            total = sum(_length(tx, table) for table in metadata.sorted_tables)
            done = 0
            for work in (_fill(tx, filling), _compare(tx, filling)):
                for rows in work:
                    done += rows
                    count(done, 2 * total)
            if filling.dialect.name == "sqlite":
                filling.execute(text("PRAGMA optimize"))
            reach("copies.before_commit")
        reach("copies.committed")
    return total


def _has_rows(connection: Connection, table: Table) -> bool:
    return connection.execute(select(literal(1)).select_from(table).limit(1)).first() is not None


def _length(reader: Reader, table: Table) -> int:
    return int(reader.execute(select(func.count()).select_from(table)).scalar_one())


def _fill(reader: Reader, filling: Connection) -> Iterator[int]:
    """Write all rows; yields how many, each time that some are written. Raises NotAlike."""
    for table in metadata.sorted_tables:
        with closing(reader.execute(select(table).execution_options(yield_per=_AT_ONCE))) as found:
            for rows in found.mappings().partitions():
                try:
                    filling.execute(insert(table), [dict(row) for row in rows])
                except DataError as error:
                    # SQLite takes texts that PostgreSQL has no place for; none of ours is one.
                    raise NotAlike(f"a row of {table.name} cannot be there: {words_of(error)}") from error
                yield len(rows)


def _compare(reading: Reader, filled: Reader) -> Iterator[int]:
    """Compare all rows, as ``_fill`` yields. Raises NotAlike."""
    for table in metadata.sorted_tables:
        done = 0
        with closing(_ordered(reading, table)) as ours, closing(_ordered(filled, table)) as theirs:
            for here, there in zip_longest(ours, theirs):
                if here != there:
                    raise NotAlike(f"a row of {table.name} is another there: {_key(table, here or there)}")
                done += 1
                if done % _AT_ONCE == 0:
                    yield _AT_ONCE
        yield done % _AT_ONCE


def _ordered(reader: Reader, table: Table) -> Generator[tuple[Any, ...]]:
    """All rows by their key, whose texts are in the order of their bytes: PostgreSQL's own is that of a language."""
    by_bytes = "BINARY" if reader.dialect.name == "sqlite" else "C"
    keys = table.primary_key.columns
    order = [column.collate(by_bytes) if isinstance(column.type, Text) else column for column in keys]
    with closing(reader.execute(select(table).order_by(*order).execution_options(yield_per=_AT_ONCE))) as found:
        for row in found:
            yield tuple(row)


def _key(table: Table, row: tuple[Any, ...]) -> str:
    values = dict(zip((column.name for column in table.columns), row, strict=True))
    return ", ".join(str(values[column.name]) for column in table.primary_key.columns)
