"""Lists in pages: by PageNumber and PageSize, or by NextToken and MaxResults.

The newest come first. A token says below which row the next answer begins, so
what is made or deleted meanwhile shifts nothing. Every answer that is not the
last of its list has a token, whichever way it was asked for; a caller who sends
a token or MaxResults pages by tokens, and PageNumber is not looked at.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from kiln.declare.errors import InvalidParameter
from kiln.store.conditions import Condition, comes_after
from kiln.store.database import Transaction
from kiln.store.rows import Rows

Row = TypeVar("Row")

DEFAULT_SIZE = 10  #: ecs-api.md 6, 9, 10, 11: the default of PageSize and of MaxResults alike.


@dataclass(frozen=True, kw_only=True)
class Page(Generic[Row]):
    """Some rows of a list, and where they stand in it."""

    rows: tuple[Row, ...]
    total: int  #: Rows of the whole list.
    number: int
    size: int  #: At most so many rows a page.
    next_token: str  #: Empty on the last page.


def page(
    tx: Transaction,
    rows: Rows[Row],
    *conditions: Condition,
    page_number: int | None = None,
    page_size: int | None = None,
    max_results: int | None = None,
    next_token: str | None = None,
    least: int = 1,
    most: int = 100,
    **equal: Any,
) -> Page[Row]:
    """One page of the rows that meet the conditions; MaxResults is brought between *least* and *most*.

    Raises InvalidParameter for a token that none of our answers had.
    """
    total = rows.count(tx, *conditions, **equal)
    by_token = bool(next_token) or max_results is not None
    size = min(max(max_results, least), most) if max_results is not None else page_size or DEFAULT_SIZE
    number = 1 if by_token or page_number is None else page_number
    if next_token:
        conditions += (comes_after(rows, *_position(next_token)),)
    # One row more than asked for tells whether there is a next page.
    found = rows.page(tx, *conditions, limit=size + 1, offset=(number - 1) * size, **equal)
    token = to_token(found[size - 1]) if len(found) > size else ""
    return Page(rows=tuple(found[:size]), total=total, number=number, size=size, next_token=token)


def to_token(row: Any) -> str:
    """The token that says: go on below *row*."""
    return seal_position(row.created_at, row.id)


def seal_position(*position: Any) -> str:
    """A place in a list as a word that callers hand back and need not understand."""
    return base64.urlsafe_b64encode(json.dumps(position).encode()).decode().rstrip("=")


def open_position(token: str, *kinds: type) -> tuple[Any, ...] | None:
    """What ``seal_position`` was given, or None when the token is not one of ours or not of such a list."""
    try:
        position = json.loads(base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True))
    except (ValueError, RecursionError):
        return None
    if not isinstance(position, list) or [type(part) for part in position] != list(kinds):
        return None
    return tuple(position)


def _position(token: str) -> tuple[float, str]:
    position = open_position(token, float, str)
    if position is None:
        raise InvalidParameter(parameter="NextToken", rule="must be the NextToken of the answer before")
    return position[0], position[1]
