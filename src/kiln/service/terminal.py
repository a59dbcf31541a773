"""How much room a terminal has."""

from __future__ import annotations

import os
import shutil
import sys
from typing import TextIO

_USUAL = 80  #: Of a terminal that does not say it.


def terminal_room(stream: TextIO) -> int:
    """How many columns the terminal has that *stream* goes to; 0 where it goes to none."""
    if not stream.isatty():
        return 0
    if os.environ.get("COLUMNS"):
        return shutil.get_terminal_size().columns
    return os.get_terminal_size(stream.fileno()).columns or _USUAL


def begin_line() -> None:
    """Go back to the beginning of the line: a terminal has shown there that Ctrl-C was pressed."""
    if sys.stdout.isatty():
        sys.stdout.write("\r")
