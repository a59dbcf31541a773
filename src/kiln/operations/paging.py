"""Lists in pages: by PageNumber and PageSize, or by NextToken and MaxResults.

Each list has one order (``store.order``), the newest first where the operation
does not say otherwise. A token says below which row the next answer begins, so
what is made or deleted meanwhile shifts nothing. Every answer that is not the
last of its list has a token, whichever way it was asked for.

MaxResults counts where PageSize is sent too. PageNumber counts pages of
MaxResults as well, which the public service does not do: it gives the first
page for ever to whoever counts on. A token says where to go on, so PageNumber
beside it may only be 1.

A token is good for the query that gave it, in the account that asked: the same
operation and filters, with other sizes of pages if need be. Any other, or one
that was changed, is refused rather than let rows be passed over.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from typing import Any, Generic, TypeVar

from kiln.calls.call import Call
from kiln.declare.errors import InvalidParameter
from kiln.declare.shapes import essence
from kiln.ground.values import dataclass
from kiln.store.conditions import Condition
from kiln.store.counting import count
from kiln.store.order import Order, is_below, position_of
from kiln.store.rows import Rows

Row = TypeVar("Row")

DEFAULT_SIZE = 10  #: ecs-api.md 6, 9, 10, 11: the default of PageSize and of MaxResults alike.

_LARGEST = 2**62  #: Of the numbers that rows have.

#: Parameters that say which part of a list is wanted, and not which list.
_OF_PAGES = ("PageNumber", "PageSize", "MaxResults", "NextToken")


@dataclass(frozen=True, kw_only=True)
class Page(Generic[Row]):
    """Some rows of a list, and where they stand in it."""

    rows: tuple[Row, ...]
    total: int  #: Rows of the whole list.
    number: int
    size: int  #: At most so many rows a page.
    next_token: str  #: Empty on the last page.


def page(
    call: Call,
    p: Any,
    rows: Rows[Row],
    order: Order,
    conditions: Sequence[Condition],
    *,
    least: int = 1,
    most: int = 100,
    default: int = DEFAULT_SIZE,
    **equal: Any,
) -> Page[Row]:
    """One page of the rows that meet the conditions; *p* is the Input, with any of the four parameters of pages.

    *default* is the size of a page where none is asked for. MaxResults is brought between *least* and *most*.

    Raises InvalidParameter for a token that is none of this query, and for a PageNumber beside it.
    """
    max_results, token = getattr(p, "max_results", None), getattr(p, "next_token", None)
    asked = getattr(p, "page_size", None) or default
    size = asked if max_results is None else min(max(max_results, least), most)
    number = getattr(p, "page_number", None) or 1
    below: tuple[Condition, ...] = ()
    if token:
        if number != 1:
            rule = "must be 1 or absent beside NextToken, which says where to go on"
            raise InvalidParameter(parameter="PageNumber", rule=rule)
        position = open_position(call, p, token, [key.kind for key in order])
        if position is None:
            raise InvalidParameter(
                parameter="NextToken", rule="must be the NextToken of the answer before, to the same query"
            )
        below = (is_below(order, position),)
    offset = (number - 1) * size
    # One row more than asked for tells whether there is a next page.
    found = rows.page(call.tx, *conditions, *below, limit=size + 1, offset=offset, order=order, **equal)
    goes_on = len(found) > size
    # Who sees the end of a list has counted it.
    is_counted = not goes_on and not below and (found or not offset)
    return Page(
        rows=tuple(found[:size]),
        total=offset + len(found) if is_counted else count(call.tx, rows, *conditions, **equal),
        number=number,
        size=size,
        next_token=seal_position(call, p, position_of(order, found[size - 1])) if goes_on else "",
    )


def seal_position(call: Call, p: Any, position: Sequence[Any]) -> str:
    """A place in the list that *p* asks for, as a word that callers hand back and need not understand."""
    content = json.dumps([_seal(call, p, position), *position])
    return base64.urlsafe_b64encode(content.encode()).decode().rstrip("=")


def open_position(call: Call, p: Any, token: str, kinds: Sequence[type]) -> tuple[Any, ...] | None:
    """What ``seal_position`` was given, or None when the token is not of this account and query, or was changed."""
    try:
        content = json.loads(base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True))
        seal, *position = content if isinstance(content, list) else [None]
        is_ours = seal == _seal(call, p, position)
    except (ValueError, TypeError, RecursionError):
        return None
    # Anybody can make such a seal, and the database is not to meet what no row of ours has.
    is_sound = [type(part) for part in position] == list(kinds) and all(map(_is_sound, position))
    return tuple(position) if is_ours and is_sound else None


def _is_sound(part: Any) -> bool:
    if isinstance(part, str):
        return "\0" not in part and not any("\ud800" <= c <= "\udfff" for c in part)
    return bool(abs(part) < _LARGEST)


def _seal(call: Call, p: Any, position: Sequence[Any]) -> str:
    """A word that no other account, query or position has. It keeps no secret: the rows are the account's anyway."""
    query = {name: value for name, value in essence(p).items() if name not in _OF_PAGES}
    content = json.dumps([type(p).__module__, call.account, query, list(position)], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:16]
