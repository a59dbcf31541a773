"""JSON as it comes from outside: one reader, strict, and bounded before it begins.

No member may be named twice, since of two values whoever reads takes one, and
somebody between client and server can choose which. There is no NaN. What
numbers are is said by whoever reads: of a request they are texts, in the
spelling that they came in, since a parameter is a text, and who signed ``1.0``
did not sign ``1``.
"""

from __future__ import annotations

from enum import Enum
from json import JSONDecoder
from typing import Any, AnyStr, NoReturn

from kiln.ground.units import KiB

#: More members and elements than any request has; a megabyte of ``[],`` would be a third of a million lists.
MOST_PARTS = 10_000

_MARKS = (",", "[", "{")
_COUNTED_AT_ONCE = 64 * KiB


class Numbers(Enum):
    """What a number is read as."""

    TEXTS = "in the spelling that it came in"
    AS_THEY_ARE = "int or float"
    WHOLE = "int; any other is refused"


class NotJson(ValueError):
    """It cannot be read."""


class NamedTwice(NotJson):
    """An object names a member twice."""


def read(text: str, numbers: Numbers = Numbers.TEXTS, *, is_bounded: bool = False) -> Any:
    """The value that *text* is. Raises NotJson.

    Who has bounded it in some other way says that it *is_bounded*; of all else more than MOST_PARTS is not read.
    """
    if not is_bounded and has_too_many_parts(text):
        raise NotJson
    try:
        return _DECODERS[numbers].decode(text.strip())
    except NotJson:
        raise
    except (ValueError, RecursionError) as error:
        raise NotJson from error


def has_too_many_parts(text: str) -> bool:
    """Whether it is too much to be read; counts marks, also those within texts, until they are too many."""
    return has_more_than(MOST_PARTS, _MARKS, text)


def has_more_than(most: int, marks: tuple[AnyStr, ...], text: AnyStr) -> bool:
    """Whether *text* has more than *most* of the *marks* in it.

    What is nothing but marks is known by its beginning: to count all those of a
    megabyte takes a millisecond, in which nobody else is answered.
    """
    found = 0
    for begin in range(0, len(text), _COUNTED_AT_ONCE):
        found += sum(text.count(mark, begin, begin + _COUNTED_AT_ONCE) for mark in marks)
        if found > most:
            return True
    return False


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise NamedTwice
    return found


def _refuse(text: str) -> NoReturn:
    raise NotJson(text)


_DECODERS = {
    Numbers.TEXTS: JSONDecoder(object_pairs_hook=_object, parse_float=str, parse_int=str, parse_constant=_refuse),
    Numbers.AS_THEY_ARE: JSONDecoder(object_pairs_hook=_object, parse_constant=_refuse),
    Numbers.WHOLE: JSONDecoder(object_pairs_hook=_object, parse_float=_refuse, parse_constant=_refuse),
}
