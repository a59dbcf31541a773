"""Tables: one line a row; on a terminal as wide as it is, with colours, and elsewhere whole and plain.

A cell that has no room is shortened to what fits and "…"; the first column, by
which the others are known, is shortened last. Of an ID even a beginning can be
said to other words.
"""

from __future__ import annotations

import os
import shutil
import sys
import unicodedata
from collections.abc import Sequence

_GREEN, _RED, _YELLOW, _BOLD, _PLAIN = "\x1b[32m", "\x1b[31m", "\x1b[33m", "\x1b[1m", "\x1b[0m"

_STYLES = {
    **dict.fromkeys(("Available", "accomplished", "Running", "Finished", "In_use"), _GREEN),
    **dict.fromkeys(("CreateFailed", "failed", "Failed", "UnAvailable"), _RED),
    **dict.fromkeys(("Creating", "progressing", "Processing", "Pending", "Starting", "Stopping"), _YELLOW),
    **dict.fromkeys(("Attaching", "Detaching", "ReIniting", "Waiting"), _YELLOW),
}

_GAP = "  "
_LEAST = 4  #: Letters of a column that is shortened.
_CUT = "…"


def show(titles: Sequence[str], cells: Sequence[Sequence[str]]) -> None:
    """Print a table; cells are one line each, without control characters."""
    is_terminal = sys.stdout.isatty()
    lines = [list(titles), *([cell or ("" if is_terminal else "-") for cell in line] for line in cells)]
    widths = [max(map(width, column)) for column in zip(*lines, strict=True)]
    if is_terminal:
        widths = fit(widths, shutil.get_terminal_size().columns)
    is_coloured = is_terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    for number, line in enumerate(lines):
        shown = [_padded(cell, room) for cell, room in zip(line, widths, strict=True)]
        if is_coloured:
            styles = [_BOLD] * len(line) if number == 0 else [_STYLES.get(cell, "") for cell in line]
            shown = [f"{style}{cell}{_PLAIN}" if style else cell for style, cell in zip(styles, shown, strict=True)]
        sys.stdout.write(_GAP.join(shown).rstrip() + "\n")


def fit(widths: Sequence[int], room: int) -> list[int]:
    """The widths of columns that share *room*: the widest give way first, and the first one when no other can."""
    first, *others = widths
    left = room - len(_GAP) * len(others)
    shared = max(left - first, _LEAST * len(others))
    cap = next((cap for cap in range(max(others, default=0), _LEAST, -1) if _total(others, cap) <= shared), _LEAST)
    fitted = [min(one, cap) for one in others]
    spare = shared - sum(fitted)
    for n, one in enumerate(others):
        more = min(max(spare, 0), one - fitted[n])
        fitted[n] += more
        spare -= more
    return [min(first, max(left - sum(fitted), _LEAST)), *fitted]


def width(text: str) -> int:
    """How many columns of a terminal a text takes: those of Chinese letters are two wide."""
    if text.isascii():
        return len(text)
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def _total(widths: Sequence[int], cap: int) -> int:
    return sum(min(one, cap) for one in widths)


def _padded(text: str, room: int) -> str:
    if width(text) > room:
        kept = text
        while width(kept) > room - 1:
            kept = kept[:-1]
        text = kept + _CUT
    return text + " " * (room - width(text))
