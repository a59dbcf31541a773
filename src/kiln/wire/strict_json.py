"""JSON as it comes from outside: one reader, strict, and bounded before it begins.

No member may be named twice, since of two values whoever reads takes one, and
somebody between client and server can choose which. There is no NaN. Numbers
are texts, in the spelling that they came in: a parameter is a text, and who
signed ``1.0`` did not sign ``1``.
"""

from __future__ import annotations

from json import JSONDecoder
from typing import Any, NoReturn

#: More members and elements than any request has; a megabyte of ``[],`` would be a third of a million lists.
MOST_PARTS = 10_000


class NotJson(ValueError):
    """It cannot be read."""


class NamedTwice(NotJson):
    """An object names a member twice."""


def read(text: str, *, numbers_are_texts: bool = True) -> Any:
    """The value that *text* is. Raises NotJson."""
    if has_too_many_parts(text):
        raise NotJson
    try:
        return (_of_texts if numbers_are_texts else _plain).decode(text.strip())
    except NotJson:
        raise
    except (ValueError, RecursionError) as error:
        raise NotJson from error


def has_too_many_parts(text: str) -> bool:
    """Whether it is too much to be read; counts marks, also those within texts, in no time."""
    return text.count(",") + text.count("[") + text.count("{") > MOST_PARTS


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise NamedTwice
    return found


def _no_constant(text: str) -> NoReturn:
    raise NotJson(text)


_of_texts = JSONDecoder(object_pairs_hook=_object, parse_float=str, parse_int=str, parse_constant=_no_constant)
_plain = JSONDecoder(object_pairs_hook=_object, parse_constant=_no_constant)
