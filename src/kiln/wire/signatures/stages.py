"""The stages that every scheme goes through, and the two encodings that they share."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import quote

_unreserved = re.compile(r"[A-Za-z0-9._~-]*").fullmatch


class Stages(NamedTuple):
    """One computation, whole: what was put in order, what was signed, and the signature."""

    canonical: str
    string_to_sign: str
    signature: str


def percent(text: str) -> str:
    """RFC 3986: all but letters, digits and ``-_.~`` as ``%XY`` of the UTF-8 bytes, upper-case.

    Raises UnicodeEncodeError for text with lone surrogates, which has no UTF-8.
    """
    return text if _unreserved(text) else quote(text, safe="~")


def canonical_query(params: Mapping[str, str]) -> str:
    """``name=value`` pairs, both percent-encoded, sorted by name in byte order; empty values are kept."""
    # Sorting decoded names by code point is sorting their UTF-8 by byte.
    return "&".join([f"{percent(name)}={percent(params[name])}" for name in sorted(params)])
