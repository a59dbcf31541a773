"""In which order the rows of a list come: one order for each list, of all its rows, so that no two runs differ.

    NEWEST = newest_first(images.c.created_at, images.c.id)

The last key of an order tells any two rows apart, so that a page can begin
below a row that is named by its values alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Integer, UnaryExpression, and_, case, literal_column, or_

from kiln.ground.values import dataclass


@dataclass(frozen=True)
class Key:
    """Something that rows are sorted by: as SQL has it, and as a row has it."""

    column: ColumnElement[Any]
    of: Callable[[Any], Any]  #: Its value in a row.
    kind: type[str | int | float] = str
    falls: bool = False

    @property
    def sorted(self) -> ColumnElement[Any] | UnaryExpression[Any]:
        """For ORDER BY."""
        return self.column.desc() if self.falls else self.column

    def is_past(self, value: Any) -> ColumnElement[bool]:
        """The condition that a row stands below one with this value."""
        past: ColumnElement[bool] = self.column < value if self.falls else self.column > value
        return past


Order = tuple[Key, ...]


def newest_first(c: Any, *among_equals: Key) -> Order:
    """By age, then by *among_equals* what was made in one moment, then by ID; *c* are the columns of the table."""
    return (
        Key(c.created_at, lambda row: row.created_at, float, falls=True),
        *among_equals,
        Key(c.id, lambda row: row.id, falls=True),
    )


def first_where(column: ColumnElement[Any], constant: str) -> ColumnElement[int]:
    """0 where the column is *constant*, as SQL spells it, else 1.

    What an order is made of stands in the statement itself, which is put together once for all values that are asked
    for.
    """
    zero, one = (literal_column(number, Integer) for number in "01")
    return case((column == literal_column(constant), zero), else_=one)


def position_of(order: Order, row: Any) -> tuple[Any, ...]:
    """Where *row* stands in the list."""
    return tuple(key.of(row) for key in order)


def is_below(order: Order, position: Sequence[Any]) -> ColumnElement[bool]:
    """That a row stands below *position*."""
    ways = []
    for n, key in enumerate(order):
        alike = (before.column == value for before, value in zip(order[:n], position, strict=False))
        ways.append(and_(*alike, key.is_past(position[n])))
    return or_(*ways)
