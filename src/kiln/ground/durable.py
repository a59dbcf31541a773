"""What was written is on the disk."""

from __future__ import annotations

import os
from pathlib import Path


def sync(path: Path | str, *, follows: bool = True) -> None:
    """Have what was written to a file, or a folder's list of names, on the disk before this returns. Raises OSError.

    A name that was given, or taken away, is lost with the host's power until its folder is synced. Where it *follows*
    not, ELOOP is raised for a link.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | (0 if follows else os.O_NOFOLLOW))
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
