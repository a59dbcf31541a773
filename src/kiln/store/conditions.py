"""What narrows a list, where an operation cannot say it with the columns alone."""

from __future__ import annotations

import re
from collections.abc import Iterable

from sqlalchemy import ColumnElement, false, or_

Condition = ColumnElement[bool]

NOTHING: Condition = false()  #: No row meets it: a filter asks for what there is none of here.


def any_of(conditions: Iterable[Condition]) -> Condition:
    """The condition that one of the conditions is met, or more of them."""
    return or_(NOTHING, *conditions)


_LONGEST_NAME = 128  #: In characters: `kiln.declare.rules.Name` allows no more.
_STARS = re.compile(r"\*+")
_OF_LIKE = re.compile(r"[\\%_]")  #: What LIKE takes for more than itself.


def fits(column: ColumnElement[str], pattern: str, longest: int = _LONGEST_NAME) -> Condition:
    """The condition that the name in *column* is as *pattern* says, in which ``*`` stands for any characters.

    In any case of the letters. SQLite refuses a pattern of LIKE of more than
    50,000 bytes: what is longer than the *longest* that there is is not asked of the
    database.
    """
    if len(pattern.replace("*", "")) > longest:
        return NOTHING
    return column.ilike(_STARS.sub("%", _OF_LIKE.sub(r"\\\g<0>", pattern)), escape="\\")
