"""Names for several instances made at once: ``name[begin,bits]suffix``, and suffixes from 001 on.

Source: ecs-api.md 11 (InstanceName, UniqueSuffix) and the official page on
sequential names. Pure text; whether a name is a good one is for others to say.
"""

from __future__ import annotations

import re

from kiln.declare.errors import ApiError

_PATTERN = re.compile(r"([^\[\]]*)\[([^\[\]]*)\]([^\[\]]*)")
_INSIDE = re.compile(r"|([0-9]{0,6}),([1-6]?)")
_WIDEST = 6


class InvalidInstanceNameCustomMalformed(ApiError):
    """The part in brackets is not one of the five forms."""

    code = "InvalidInstanceName.CustomMalformed"
    message = (
        "Customized section of instance or host name is invalid, please use valid format: [], [,], [m,], [,n], [m,n]."
    )


def expand(name: str, count: int, unique: bool) -> list[str]:
    """*count* names. Raises InvalidInstanceNameCustomMalformed.

    ``[m,n]`` becomes a number of at least n digits (1 to 6), from m on; m is 0
    and n is 6 when not given, and n is 6 too when m is longer. *unique*
    appends 001, 002, ..., but not to a name that ends in such a number.
    """
    if "[" in name or "]" in name:
        prefix, begin, width, suffix = _parse(name)
        names = [f"{prefix}{begin + n:0{width}}{suffix}" for n in range(count)]
        unique = unique and bool(suffix)
    else:
        names = [name] * count
    return [f"{one}{n:03}" for n, one in enumerate(names, 1)] if unique else names


def _parse(name: str) -> tuple[str, int, int, str]:
    match = _PATTERN.fullmatch(name)
    inside = _INSIDE.fullmatch(match[2]) if match else None
    if match is None or inside is None:
        raise InvalidInstanceNameCustomMalformed(name=name)
    begin, bits = inside[1] or "0", int(inside[2] or _WIDEST)
    return match[1], int(begin), _WIDEST if len(begin) > bits else bits, match[3]
