"""Tables: one line a row; on a terminal as wide as it is, with colours, and elsewhere whole and plain.

What somebody wrote, such as a name, is shortened with "…" where it has no room.
An ID, an address, a time or a state is good for nothing without its end, so such
a column is shown whole or not at all: those on the right are left out, and the
table says which, and how to see them.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from kiln.declare.states import BROKEN, MOVES, RESTING, WELL
from kiln.ground.prose import fold, width
from kiln.service.terminal import terminal_room

_GREEN, _RED, _YELLOW, _BOLD, _PLAIN = "\x1b[32m", "\x1b[31m", "\x1b[33m", "\x1b[1m", "\x1b[0m"

_STYLES = {
    **{str(status): _YELLOW for kind in MOVES for status in kind if status not in RESTING},
    **dict.fromkeys(map(str, WELL), _GREEN),
    **dict.fromkeys(map(str, BROKEN), _RED),
}

_GAP = "  "
_LEAST = 12  #: Letters that a column keeps that is shortened: fewer tell no two names apart.
_CUT = "…"


def show(titles: Sequence[str], cells: Sequence[Sequence[str]], shortens: Sequence[bool], more: str) -> None:
    """Print a table; cells are one line each, without control characters.

    *shortens* says of each column whether it may be shortened. *more* says how to see what there was no room for, with
    ``{}`` for the titles of the first column and of those that are left out.
    """
    is_terminal = sys.stdout.isatty()
    lines = [list(titles), *([cell or ("" if is_terminal else "-") for cell in line] for line in cells)]
    widths = [max(map(width, column)) for column in zip(*lines, strict=True)]
    if is_terminal:
        widths = fit(widths, shortens, terminal_room(sys.stdout))
    is_coloured = is_terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    for number, line in enumerate(lines):
        shown = [_padded(cell, its) for cell, its in zip(line, widths, strict=False)]
        if is_coloured:
            styles = [_BOLD] * len(line) if number == 0 else [_STYLES.get(cell, "") for cell in line]
            shown = [f"{style}{cell}{_PLAIN}" if style else cell for style, cell in zip(styles, shown, strict=False)]
        sys.stdout.write(_GAP.join(shown).rstrip() + "\n")
    left_out = titles[len(widths) :]
    if left_out and cells:
        advice = more.format(",".join(title.replace(" ", "-") for title in (titles[0], *left_out)))
        text = f"(No room for {', '.join(left_out)}: {advice}.)"
        sys.stdout.writelines(f"{line}\n" for line in fold(text, terminal_room(sys.stdout)))


def fit(widths: Sequence[int], shortens: Sequence[bool], room: int) -> list[int]:
    """The widths of as many of the columns, from the left, as *room* has place for, the first in any case.

    Of those that may be shortened the widest give way first; what has to be left out for the others leaves its room to
    them. The first column is as wide as it is, whatever the room, unless it may be shortened.
    """
    least = [min(one, _LEAST) if gives else one for one, gives in zip(widths, shortens, strict=True)]
    count = len(widths)
    while count > 1 and _total(least[:count]) > room:
        count -= 1
    shown = list(widths[:count])
    cap = max(shown)
    while _total(shown) > room and cap > _LEAST:
        cap -= 1
        shown = [min(one, cap) if gives else one for one, gives in zip(shown, shortens, strict=False)]
    for n, wanted in enumerate(widths[:count]):
        shown[n] += min(max(room - _total(shown), 0), wanted - shown[n])
    return shown


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + len(_GAP) * (len(widths) - 1)


def _padded(text: str, room: int) -> str:
    if width(text) > room:
        kept = text
        while width(kept) > room - 1:
            kept = kept[:-1]
        text = kept + _CUT
    return text + " " * (room - width(text))
