"""Whether the program of the version before can work beside that of the next: what a migration may do to its tables."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    Connection,
    Constraint,
    Engine,
    Float,
    ForeignKeyConstraint,
    Integer,
    MetaData,
    Table,
    UniqueConstraint,
    delete,
    insert,
    select,
    update,
)

_REFUSING = {
    "unique_constraints": UniqueConstraint,
    "foreign_keys": ForeignKeyConstraint,
    "check_constraints": CheckConstraint,
}

#: What is known of each table: its columns, how many constraints of each kind it has, its unique indexes.
Shape = dict[str, dict[str, Any]]


def tables_of(bind: Engine | Connection) -> MetaData:
    """The tables as they are now, as a program would know them."""
    tables = MetaData()
    tables.reflect(bind)
    return tables


def shape_of(tables: MetaData) -> Shape:
    """What there is to compare of *tables*."""
    return {
        table.name: {
            "columns": dict(table.columns.items()),
            "unique": {index.name for index in table.indexes if index.unique},
            **{what: _count(table, kind) for what, kind in _REFUSING.items()},
        }
        for table in tables.sorted_tables
        if table.name != "alembic_version"
    }


def _count(table: Table, kind: type[Constraint]) -> int:
    return sum(isinstance(one, kind) for one in table.constraints)


def broken_by(before: Shape, after: Shape) -> Iterator[str]:
    """What is in *after* that a program which knows *before* cannot work with, in words."""
    for table, was in before.items():
        if table not in after:
            yield f"the table {table} is gone"
            continue
        now = after[table]
        yield from _columns(table, was["columns"], now["columns"])
        yield from (f"{table} refuses what it took: {what}" for what in _REFUSING if now[what] > was[what])
        yield from (f"{table} refuses what it took: the unique index {one}" for one in now["unique"] - was["unique"])


def _columns(table: str, old: dict[str, Column[Any]], new: dict[str, Column[Any]]) -> Iterator[str]:
    for name, column in old.items():
        if name not in new:
            yield f"the column {table}.{name} is gone"
        elif str(new[name].type) != str(column.type):
            yield f"the column {table}.{name} is of another type"
        elif column.nullable and not new[name].nullable:
            yield f"the column {table}.{name} refuses NULL now"
    for name in new.keys() - old.keys():
        if not new[name].nullable and new[name].server_default is None:
            yield f"the new column {table}.{name} has neither a default nor NULL"


def speak(connection: Connection, tables: MetaData) -> None:
    """What a program that knows *tables* says: it writes, reads, changes and removes a row of each."""
    for table in tables.sorted_tables:
        if table.name != "alembic_version":
            _speak_of(connection, table)


def _speak_of(connection: Connection, table: Table) -> None:
    row = {column.name: _value(column.type) for column in table.columns}
    keys = [column == row[column.name] for column in table.primary_key.columns]
    connection.execute(insert(table), row)
    assert dict(connection.execute(select(table).where(*keys)).mappings().one()) == row
    connection.execute(update(table).where(*keys).values(row))
    assert connection.execute(delete(table).where(*keys)).rowcount == 1


def _value(kind: Any) -> Any:
    if isinstance(kind, Boolean):
        return True
    if isinstance(kind, Integer):
        return 1
    return 1.0 if isinstance(kind, Float) else "one"
