"""Sentences for people, folded at blanks where a terminal would break them in the middle of a word."""

from __future__ import annotations

import re
import textwrap
import unicodedata

_COMMAND = re.compile("`[^`]*`")
_KEPT = "\x00"  #: Stands for a blank at which nothing is folded; no text of ours has it.
_WIDE = "\x01"  #: Behind a letter that is two columns wide, for the second of them; no text of ours has it.


def width(text: str) -> int:
    """How many columns of a terminal a text takes: those of Chinese letters are two wide."""
    return len(text) if text.isascii() else sum(map(_columns, text))


def _columns(letter: str) -> int:
    return 0 if unicodedata.combining(letter) else 2 if unicodedata.east_asian_width(letter) in "WF" else 1


def fold(text: str, room: int, indent: int = 0) -> list[str]:
    """The lines of *text*, at most *room* columns wide, all but the first with *indent* blanks before them.

    A command between backticks stays on one line, so that it can be copied, and a
    word that is longer than the room stays whole. Of a room of 0, or one that the
    text fits into, it is one line as it is.
    """
    if not room or width(text) <= room:
        return [text]
    held = _COMMAND.sub(lambda found: found.group().replace(" ", _KEPT), text)
    if not held.isascii():
        held = "".join(letter + _WIDE if _columns(letter) > 1 else letter for letter in held)
    before = len(held) - len(held.lstrip(" "))
    folded = textwrap.wrap(
        held.lstrip(" "),
        max(room, indent + 1),
        initial_indent=" " * before,
        subsequent_indent=" " * max(indent, before),
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [line.replace(_KEPT, " ").replace(_WIDE, "") for line in folded]
