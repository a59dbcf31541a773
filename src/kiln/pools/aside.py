"""Where what does not belong into a pool's folder is moved to, without losing a byte of it."""

from __future__ import annotations

import itertools
import os
from pathlib import Path

from kiln.ground.killpoints import reach
from kiln.pools.errors import ToolFailed
from kiln.pools.folder import sync

# Inside the pool, so that it is on the same disk whatever is mounted where, and a volume goes there by a rename. The
# root of an ext4 file system has a folder of that name and purpose already.
NAME = "lost+found"
_MODE = 0o700


def move(path: Path) -> Path:
    """Move a file or a folder out of the pool; returns where it lies now. Raises ToolFailed."""
    lost = path.parent / NAME
    try:
        lost.mkdir(mode=_MODE, exist_ok=True)
        target = next(t for n in itertools.count() if not os.path.lexists(t := _numbered(lost / path.name, n)))
        reach("pool.set_aside.before")
        path.rename(target)
        reach("pool.set_aside.renamed")
        sync(lost)
        sync(path.parent)
    except OSError as error:
        raise ToolFailed(f"{path.name} cannot be moved to {NAME}: {error.strerror}") from error
    return target


def _numbered(path: Path, n: int) -> Path:
    return path.with_name(f"{path.name}.{n}") if n else path
