"""One table, read and written as frozen dataclasses.

The dataclass is the declaration: its fields are the columns. ``str``, ``int``,
``float``, ``bool`` and their ``| None`` are all that a column can be, so that
the same statements run on SQLite and PostgreSQL. A field that is a frozen
dataclass itself, such as the system on a disk, has its own fields as columns.

Statements that only compare columns for equality are compiled once for each
dialect and set of columns, and then go straight to the driver: building and
compiling them anew took two thirds of a request's time.
"""

from __future__ import annotations

import dataclasses
import sys
import types
import typing
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from enum import StrEnum
from functools import lru_cache
from typing import Any, Generic, TypeVar

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Dialect,
    Executable,
    Float,
    Index,
    MetaData,
    Select,
    Table,
    Text,
    bindparam,
    delete,
    func,
    insert,
    literal_column,
    select,
    update,
)

from kiln.declare.states import check_move
from kiln.ground.values import dataclass
from kiln.store.changes import Change, Told
from kiln.store.database import Cursor, Transaction
from kiln.store.errors import DatabaseMalformed
from kiln.store.order import Order

metadata = MetaData()

Row = TypeVar("Row")

_TYPES: dict[type, Any] = {str: Text, int: BigInteger, float: Float, bool: Boolean}

#: Types as modules of rows write them.
_SPELLED = {
    spelled: hint
    for kind in _TYPES
    for spelled, hint in ((kind.__name__, kind), (f"{kind.__name__} | None", kind | None))
}

_AMONG = "among_"  #: Before a number: one of the values that a column may have.
_WHERE = "w_"  #: Before a column's name: the value that it is compared with. A value that is set has the bare name.


@dataclass(frozen=True)
class _Compiled:
    """A statement in the driver's own spelling."""

    sql: str
    order: tuple[str, ...] | None  #: The parameters' order, where the driver takes them by position.

    def bind(self, values: dict[str, Any]) -> Any:
        """The parameters as the driver takes them."""
        return values if self.order is None else tuple(map(values.__getitem__, self.order))


@dataclass(frozen=True)
class Recorded:
    """Which record of the pool holds a table's rows: of which kind, and the column with the ID.

    Where the kind is in a column too, ``kind_column`` names that. What changes in columns of ``passing`` alone
    concerns no record.
    """

    kind: str = ""
    id: str = "id"
    kind_column: str = ""
    passing: frozenset[str] = frozenset()


@dataclass(frozen=True)
class _Part:
    """A field that is a value of several columns, and where those stand among the table's."""

    kind: type
    place: slice

    def of(self, values: tuple[Any, ...]) -> Any:
        """The value of these columns."""
        return _make_part(self.kind, values)


@lru_cache(maxsize=1024)  # Thousands of rows have one of a few dozen values.
def _make_part(kind: type, values: tuple[Any, ...]) -> Any:
    return kind(**dict(zip((f.name for f in dataclasses.fields(kind)), values, strict=True)))


class Rows(Generic[Row]):
    """The rows of one table.

    ``table`` and ``c`` are there for the statements that a noun's module writes itself.
    """

    def __init__(
        self,
        name: str,
        row: type[Row],
        key: Sequence[str] = ("id",),
        indexes: Iterable[Index] = (),
        recorded: Recorded | None = None,
        *,
        told: Told | None = None,
    ) -> None:
        hints = _hints(row)
        columns: list[Column[Any]] = []
        self._parts: dict[str, _Part] = {}
        for f in dataclasses.fields(row):  # type: ignore[arg-type]
            if not dataclasses.is_dataclass(hints[f.name]):
                columns.append(_column(f.name, hints[f.name], f.name in key))
                continue
            own = [_column(name, hint, is_key=False) for name, hint in _hints(hints[f.name]).items()]
            self._parts[f.name] = _Part(hints[f.name], slice(len(columns), len(columns) + len(own)))
            columns += own
        self.row = row
        self.table = Table(name, metadata, *columns, *indexes)
        self.c = self.table.c
        self._key = tuple(key)
        self._recorded = recorded
        self.told = told
        self._names = tuple(f.name for f in dataclasses.fields(row))  # type: ignore[arg-type]
        self._flags = tuple(n for n, column in enumerate(columns) if isinstance(column.type, Boolean))
        self._select = select(self.table)
        self._kept: dict[tuple[Any, ...], _Compiled] = {}

    def insert(self, tx: Transaction, *rows: Row) -> None:
        """Add rows. Raises sqlalchemy's IntegrityError when a key or a unique index is taken."""
        statement = self._compiled(tx, ("insert",), lambda: insert(self.table))
        for row in rows:
            self._tell(tx, (), vars(row))
            values = self.to_values(row)
            tx.driver(statement.sql, statement.bind(values))
            if self.told is not None:
                is_shown = bool(values[self.told.shown]) if self.told.shown else self.told.is_shown
                whose = values["account"], is_shown, values["region"], values.get("name", "")
                tx.changes.append(Change(self.told.noun, values["id"], None, values["status"], *whose))

    def find(self, tx: Transaction, **equal: Any) -> Row | None:
        """The one row whose columns equal these, or None. Raises DatabaseMalformed."""
        row = self._run(tx, "find", lambda where: self._select.where(*where), equal).fetchone()
        return None if row is None else self.verified(self.read(row), equal)

    def all(self, tx: Transaction, *conditions: ColumnElement[bool], **equal: Any) -> list[Row]:
        """Every row that meets the conditions, in the order of the table's ``seq`` or key."""
        if conditions:
            return self.rows(tx, self._where(equal).where(*conditions).order_by(*self._order()))
        found = self._run(tx, "all", lambda where: self._select.where(*where).order_by(*self._order()), equal)
        return [self.verified(self.read(row), equal) for row in found.fetchall()]

    def rows(self, tx: Transaction, statement: Select[Any]) -> list[Row]:
        """What a statement of the caller's that selects ``table`` gives."""
        return [self.read(row) for row in tx.execute(statement)]

    def read(self, row: Sequence[Any]) -> Row:
        """What a statement of the caller's gave, which selects the columns of ``table`` in their order."""
        # A frozen dataclass sets its fields one by one by a function call each, which takes as long as reading the row.
        made = object.__new__(self.row)
        if self._flags or self._parts:
            row = list(row)
            for n in self._flags:
                # SQLite knows no booleans; the driver gives them back as 0 and 1.
                row[n] = bool(row[n])
            for part in reversed(self._parts.values()):
                row[part.place] = (part.of(tuple(row[part.place])),)
        vars(made).update(zip(self._names, row, strict=True))
        return made

    def to_values(self, row: Row) -> dict[str, Any]:
        """The row by its columns, for what keeps rows in another form."""
        return self._spread({name: getattr(row, name) for name in self._names})

    def of_values(self, values: Mapping[str, Any]) -> Row:
        """A row of what ``to_values`` gave, or another version: unknown columns are dropped, missing ones empty."""
        return self.read([values.get(column.name, _nothing(column)) for column in self.table.columns])

    def verified(self, row: Row, equal: dict[str, Any]) -> Row:
        """The row, which is one that was asked for. A damaged index leads SQLite to others, and it does not look."""
        values = vars(row)
        for name, value in equal.items():
            if values.get(name, value) != value:
                raise DatabaseMalformed(f"an index of {self.table.name} leads to a row of another {name}")
        return row

    def page(
        self,
        tx: Transaction,
        *conditions: ColumnElement[bool],
        order: Order,
        limit: int,
        offset: int = 0,
        **equal: Any,
    ) -> list[Row]:
        """Some of the rows that meet the conditions, in that order."""
        ordered = self._select.order_by(*(key.sorted for key in order))
        if conditions:
            return self.rows(tx, ordered.where(*self._equals(equal), *conditions).limit(limit).offset(offset))

        def build(where: list[ColumnElement[bool]]) -> Executable:
            return ordered.where(*where).limit(bindparam("limit")).offset(bindparam("offset"))

        # What rows are sorted by is of the module's own making: there are a few of it, and not one for each request.
        kind = "page", tuple((key.column, key.falls) for key in order)
        found = self._run(tx, kind, build, equal, {"limit": limit, "offset": offset})
        return [self.read(row) for row in found.fetchall()]

    def count(self, tx: Transaction, *conditions: ColumnElement[bool], **equal: Any) -> int:
        """How many rows meet the conditions."""
        if conditions:
            return int(tx.execute(self._counting(self._equals(equal)).where(*conditions)).scalar_one())
        (counted,) = self._run(tx, "count", self._counting, equal).fetchone()
        return int(counted)

    def update(self, tx: Transaction, changes: dict[str, Any], *conditions: ColumnElement[bool], **equal: Any) -> int:
        """Change rows; returns how many."""
        if self._recorded is None or not self._recorded.passing.issuperset(changes):
            self._tell(tx, conditions, equal)
        changes = self._spread(changes)
        if self.told is not None and ("status" in changes or not self.told.seen.isdisjoint(changes)):
            return self._update_told(tx, self.told, changes, conditions, equal)
        return self._update(tx, changes, conditions, equal)

    def _update(
        self, tx: Transaction, changes: dict[str, Any], conditions: Sequence[ColumnElement[bool]], equal: dict[str, Any]
    ) -> int:
        if conditions or any(isinstance(value, ColumnElement) for value in changes.values()):
            statement = update(self.table).where(*self._equals(equal), *conditions).values(**changes)
            return tx.execute(statement).rowcount

        return self._run(tx, "update " + ",".join(changes), self._updating(changes), equal, changes).rowcount

    def _updating(self, changes: dict[str, Any]) -> Callable[[list[ColumnElement[bool]]], Any]:
        """What builds the statement that sets these columns where they are told."""
        return lambda where: update(self.table).values({name: bindparam(name) for name in changes}).where(*where)

    def _update_told(
        self,
        tx: Transaction,
        told: Told,
        changes: dict[str, Any],
        conditions: Sequence[ColumnElement[bool]],
        equal: dict[str, Any],
    ) -> int:
        """As ``_update``, of what is told: the statement gives back whose rows it changed, so that it stays one."""
        rows: Any
        known = self._told_before(tx, told, equal)
        if known is not None and not conditions:
            count = self._update(tx, changes, (), equal)
            rows = [known] * count
        elif conditions or ("status" in changes and "status" not in equal):
            # What the status was only the rows before tell.
            rows = tx.execute(select(*self._whose(told)).where(*self._equals(equal), *conditions)).fetchall()
            self._update(tx, changes, conditions, equal)
        else:
            build = self._updating(changes)
            key = "update told " + ",".join(changes)
            rows = self._run(
                tx, key, lambda where: build(where).returning(*self._whose(told)), equal, changes
            ).fetchall()
        for id_, status, account, is_shown, region, name in rows:
            whose = account, bool(is_shown), region, changes.get("name", name)
            old = equal.get("status", status)
            tx.changes.append(Change(told.noun, id_, old, changes.get("status", status), *whose))
        return len(rows)

    def move(self, tx: Transaction, before: StrEnum, after: StrEnum, changes: dict[str, Any], **equal: Any) -> bool:
        """Move a row from one status to another; False when it was not in *before* (somebody else moved first)."""
        check_move(before, after)
        return self.update(tx, {"status": after, **changes}, status=before, **equal) > 0

    def delete(self, tx: Transaction, *conditions: ColumnElement[bool], **equal: Any) -> int:
        """Remove rows; returns how many."""
        self._tell(tx, conditions, equal)
        if self.told is not None:
            return self._delete_told(tx, self.told, conditions, equal)
        if conditions:
            return tx.execute(delete(self.table).where(*self._equals(equal), *conditions)).rowcount
        return self._run(tx, "delete", lambda where: delete(self.table).where(*where), equal).rowcount

    @staticmethod
    def _told_before(tx: Transaction, told: Told, equal: Mapping[str, Any]) -> tuple[Any, ...] | None:
        """What ``_whose`` selects of the row of one ID, where the transaction has changed it before.

        So a row that one transaction makes and moves costs one plain statement more, as before: to give back what was
        changed takes SQLite as long as changing it (20 µs).
        """
        id_ = equal.get("id")
        for change in reversed(tx.changes):
            if change.id == id_ and change.noun == told.noun:
                return id_, change.new, change.account, change.is_shown, change.region, change.name
        return None

    def _delete_told(
        self, tx: Transaction, told: Told, conditions: Sequence[ColumnElement[bool]], equal: dict[str, Any]
    ) -> int:
        def build(where: Sequence[ColumnElement[bool]]) -> Executable:
            return delete(self.table).where(*where, *conditions).returning(*self._whose(told))

        rows: Any
        if conditions:
            rows = tx.execute(build(self._equals(equal))).fetchall()
        else:
            rows = self._run(tx, "delete told", build, equal).fetchall()
        for id_, status, account, is_shown, region, name in rows:
            tx.changes.append(Change(told.noun, id_, status, None, account, bool(is_shown), region, name))
        return len(rows)

    def _whose(self, told: Told) -> tuple[ColumnElement[Any], ...]:
        """What a change tells of a row, and its status."""
        shown = self.c[told.shown] if told.shown else literal_column("1" if told.is_shown else "0")
        name = self.c.name if "name" in self.c else literal_column("''")
        return self.c.id, self.c.status, self.c.account, shown, self.c.region, name

    def _tell(self, tx: Transaction, conditions: Sequence[ColumnElement[bool]], equal: Mapping[str, Any]) -> None:
        """Note of which resources something changes, so that their records follow once it is committed."""
        told = self._recorded
        if told is None:
            return
        if told.id in equal and (not told.kind_column or told.kind_column in equal):
            tx.touched.add((equal[told.kind_column] if told.kind_column else told.kind, equal[told.id]))
            return
        columns = [self.c[told.kind_column], self.c[told.id]] if told.kind_column else [self.c[told.id]]
        rows: Any
        if conditions:
            rows = tx.execute(select(*columns).where(*self._equals(dict(equal)), *conditions).distinct()).fetchall()
        else:
            build = select(*columns).distinct().where
            rows = self._run(tx, "touched", lambda where: build(*where), dict(equal)).fetchall()
        for row in rows:
            tx.touched.add((row[0] if told.kind_column else told.kind, row[-1]))

    def _spread(self, values: dict[str, Any]) -> dict[str, Any]:
        """Values by field as values by column."""
        if self._parts.keys().isdisjoint(values):
            return values
        spread: dict[str, Any] = {}
        for name, value in values.items():
            spread |= vars(value) if name in self._parts else {name: value}
        return spread

    def _run(
        self,
        tx: Transaction,
        kind: Hashable,
        build: Callable[[list[ColumnElement[bool]]], Executable],
        equal: dict[str, Any],
        changes: dict[str, Any] | None = None,
    ) -> Cursor:
        """Run a statement whose conditions are all equalities (or, with None, IS NULL); *changes* are more values."""
        key = (kind, tuple((name, value is None) for name, value in equal.items()))
        statement = self._compiled(tx, key, lambda: build(_bound(self.table, equal)))
        values = {_WHERE + name: value for name, value in equal.items() if value is not None}
        return tx.driver(statement.sql, statement.bind(values if changes is None else values | changes))

    def among(self, tx: Transaction, column: str, values: Sequence[Any], **equal: Any) -> list[Row]:
        """Every row whose *column* is one of *values*, and whose other columns equal these, by *column* and key."""
        if not values:
            return []
        asked = among(values)
        key = ("among", column, len(asked), tuple((name, value is None) for name, value in equal.items()))

        def build() -> Executable:
            order = dict.fromkeys((column, *self._key))
            where = self.c[column].in_(map(bindparam, asked)), *_bound(self.table, equal)
            return self._select.where(*where).order_by(*(self.c[name] for name in order))

        statement = self._compiled(tx, key, build)
        given = asked | {_WHERE + name: value for name, value in equal.items() if value is not None}
        return [self.read(row) for row in tx.driver(statement.sql, statement.bind(given)).fetchall()]

    def kept(self, tx: Transaction, kind: str, build: Callable[[], Executable], values: dict[str, Any]) -> Cursor:
        """Run a statement of the caller's that is put together once: always the same one for a *kind*.

        Its parameters are named as *values* are, and it has no constants that would have to be bound.
        """
        statement = self._compiled(tx, (kind,), build)
        return tx.driver(statement.sql, statement.bind(values))

    def _compiled(self, tx: Transaction, key: tuple[Any, ...], build: Callable[[], Executable]) -> _Compiled:
        full_key = (tx.dialect.name, *key)
        kept = self._kept.get(full_key)
        if kept is None:
            kept = self._kept[full_key] = _compile(build(), tx.dialect)
        return kept

    def _counting(self, where: list[ColumnElement[bool]]) -> Select[Any]:
        return select(func.count()).select_from(self.table).where(*where)

    def _where(self, equal: dict[str, Any]) -> Select[Any]:
        return self._select.where(*self._equals(equal))

    def _equals(self, equal: dict[str, Any]) -> list[ColumnElement[bool]]:
        return [self.c[name] == value for name, value in equal.items()]

    def _order(self) -> list[Column[Any]]:
        return [self.c.seq] if "seq" in self.c else [self.c[name] for name in self._key]


def among(values: Sequence[Any]) -> dict[str, Any]:
    """Parameters for a statement that asks for all of *values*, of which there is one at least.

    There are as many as a power of two, so that few statements are put together: the last value is asked for
    several times.
    """
    count = 1 << (len(values) - 1).bit_length()
    return {f"{_AMONG}{n}": value for n, value in enumerate([*values, *[values[-1]] * (count - len(values))])}


def _nothing(column: Column[Any]) -> Any:
    """What a column says that says nothing."""
    return None if column.nullable else column.type.python_type()


def _bound(table: Table, equal: dict[str, Any]) -> list[ColumnElement[bool]]:
    return [
        table.c[name].is_(None) if value is None else table.c[name] == bindparam(_WHERE + name)
        for name, value in equal.items()
    ]


def _compile(statement: Executable, dialect: Dialect) -> _Compiled:
    compiled = statement.compile(dialect=dialect, compile_kwargs={"render_postcompile": True})  # type: ignore[attr-defined]
    if compiled.positional:
        fixed = {name: value for name, value in compiled.params.items() if value is not None}
        assert not fixed, fixed  # A constant of the statement would have to be bound at every run.
        return _Compiled(compiled.string, tuple(compiled.positiontup))
    return _Compiled(compiled.string, None)


def _hints(row: type) -> dict[str, Any]:
    """``typing.get_type_hints``, which compiles each text: of 600 columns all but 70 have one of a few types."""
    texts: dict[str, str] = row.__annotations__
    if len(row.__mro__) > len((row, object)):
        return typing.get_type_hints(row)
    others = types.SimpleNamespace(__annotations__={name: text for name, text in texts.items() if text not in _SPELLED})
    found = typing.get_type_hints(others, vars(sys.modules[row.__module__]))
    return {name: _SPELLED.get(text) or found[name] for name, text in texts.items()}


def _column(name: str, hint: Any, is_key: bool) -> Column[Any]:
    nullable = typing.get_origin(hint) in (types.UnionType, typing.Union)
    if nullable:
        (hint,) = (a for a in typing.get_args(hint) if a is not type(None))
    kind = str if isinstance(hint, type) and issubclass(hint, StrEnum) else hint
    return Column(name, _TYPES[kind], primary_key=is_key, nullable=nullable)
