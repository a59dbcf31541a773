"""Reads small files that may be damaged, or something else by now: never more than they may have, nor for ever."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from kiln.ground.units import KiB

MOST = 64 * KiB


class NotShort(ValueError):
    """The file is longer than it may be, or is no file: a folder, a pipe, a device."""


def read_short(path: Path, most: int = MOST) -> bytes:
    """What is in a regular file of at most *most* bytes. Raises NotShort, OSError; FileNotFoundError where none is."""
    # Without O_NONBLOCK a pipe would be waited for.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        # A folder cannot even be made a file object.
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise NotShort(f"{path} is no file")
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            content = file.read(most + 1)
    finally:
        os.close(descriptor)
    if len(content) > most:
        raise NotShort(f"{path} has more than {most} bytes")
    return content


def read_short_text(path: Path, most: int = MOST) -> str:
    """As ``read_short``, of UTF-8. Raises ValueError of what is none."""
    return read_short(path, most).decode()
