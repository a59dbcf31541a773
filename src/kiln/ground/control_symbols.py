"""What a terminal takes as orders, not as text."""

from __future__ import annotations

import re

#: ECMA-48 control sequences and strings, and single control characters but for tabs and ends of lines.
_SYMBOLS = re.compile(
    rb"\x1b\[[0-?]*[ -/]*[@-~]"
    rb"|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)"
    rb"|\x1b[ -/]*[0-~]"
    rb"|[\x00-\x08\x0b-\x1f\x7f]"
)


def text_alone(printed: bytes) -> bytes:
    """What was printed, without orders to a terminal; lines end with a line feed alone."""
    return _SYMBOLS.sub(b"", printed)
