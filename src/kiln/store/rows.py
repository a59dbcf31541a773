"""One table, read and written as frozen dataclasses.

The dataclass is the declaration: its fields are the columns. ``str``, ``int``,
``float``, ``bool`` and their ``| None`` are all that a column can be, so that
the same statements run on SQLite and PostgreSQL.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Any, Generic, TypeVar

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Float,
    Index,
    MetaData,
    Select,
    Table,
    Text,
    delete,
    func,
    insert,
    select,
    update,
)

from kiln.declare.states import check_move
from kiln.store.database import Transaction

metadata = MetaData()

Row = TypeVar("Row")

_TYPES: dict[type, Any] = {str: Text, int: BigInteger, float: Float, bool: Boolean}


class Rows(Generic[Row]):
    """The rows of one table.

    ``table`` is there for the statements that a noun's module writes itself.
    """

    def __init__(self, name: str, row: type[Row], key: Sequence[str] = ("id",), indexes: Iterable[Index] = ()) -> None:
        hints = typing.get_type_hints(row)
        columns = [_column(f.name, hints[f.name], f.name in key) for f in dataclasses.fields(row)]  # type: ignore[arg-type]
        self.row = row
        self.table = Table(name, metadata, *columns, *indexes)
        self.c = self.table.c
        self._key = tuple(key)
        self._names = tuple(f.name for f in dataclasses.fields(row))  # type: ignore[arg-type]
        self._insert = insert(self.table)
        self._select = select(self.table)

    def insert(self, tx: Transaction, *rows: Row) -> None:
        """Add rows. Raises sqlalchemy's IntegrityError when a key or a unique index is taken."""
        if rows:
            tx.execute(self._insert, [{name: getattr(row, name) for name in self._names} for row in rows])

    def find(self, tx: Transaction, **equal: Any) -> Row | None:
        """The one row whose columns equal these, or None."""
        row = tx.execute(self._where(equal)).first()
        return None if row is None else self.row(**row._mapping)

    def all(self, tx: Transaction, *conditions: ColumnElement[bool], **equal: Any) -> list[Row]:
        """Every row that meets the conditions, in the order of the table's ``seq`` or key."""
        statement = self._where(equal).where(*conditions).order_by(*self._order())
        return [self.row(**row._mapping) for row in tx.execute(statement)]

    def rows(self, tx: Transaction, statement: Select[Any]) -> list[Row]:
        """What a statement of the caller's that selects ``table`` gives."""
        return [self.row(**row._mapping) for row in tx.execute(statement)]

    def page(
        self,
        tx: Transaction,
        *conditions: ColumnElement[bool],
        limit: int,
        offset: int = 0,
        newest_first: bool = True,
        **equal: Any,
    ) -> list[Row]:
        """Some of the rows that meet the conditions, by age and then ID."""
        order = (self.c.created_at, self.c.id)
        statement = self._where(equal).where(*conditions).limit(limit).offset(offset)
        statement = statement.order_by(*(c.desc() for c in order)) if newest_first else statement.order_by(*order)
        return self.rows(tx, statement)

    def count(self, tx: Transaction, *conditions: ColumnElement[bool], **equal: Any) -> int:
        """How many rows meet the conditions."""
        statement = select(func.count()).select_from(self.table).where(*self._equals(equal), *conditions)
        return int(tx.execute(statement).scalar_one())

    def update(self, tx: Transaction, changes: dict[str, Any], *conditions: ColumnElement[bool], **equal: Any) -> int:
        """Change rows; returns how many."""
        statement = update(self.table).where(*self._equals(equal), *conditions).values(**changes)
        return tx.execute(statement).rowcount

    def move(self, tx: Transaction, before: StrEnum, after: StrEnum, changes: dict[str, Any], **equal: Any) -> bool:
        """Move a row from one status to another; False when it was not in *before* (somebody else moved first)."""
        check_move(before, after)
        return self.update(tx, {"status": after, **changes}, status=before, **equal) > 0

    def delete(self, tx: Transaction, *conditions: ColumnElement[bool], **equal: Any) -> int:
        """Remove rows; returns how many."""
        return tx.execute(delete(self.table).where(*self._equals(equal), *conditions)).rowcount

    def _where(self, equal: dict[str, Any]) -> Select[Any]:
        return self._select.where(*self._equals(equal))

    def _equals(self, equal: dict[str, Any]) -> list[ColumnElement[bool]]:
        return [self.c[name] == value for name, value in equal.items()]

    def _order(self) -> list[Column[Any]]:
        return [self.c.seq] if "seq" in self.c else [self.c[name] for name in self._key]


def _column(name: str, hint: Any, is_key: bool) -> Column[Any]:
    nullable = typing.get_origin(hint) in (types.UnionType, typing.Union)
    if nullable:
        (hint,) = (a for a in typing.get_args(hint) if a is not type(None))
    kind = str if isinstance(hint, type) and issubclass(hint, StrEnum) else hint
    return Column(name, _TYPES[kind], primary_key=is_key, nullable=nullable)
