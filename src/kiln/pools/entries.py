"""What lies in a pool's folder: finished volumes, and what is none."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from kiln.pools import aside, trash
from kiln.pools.family import NAME, SUFFIX, has_name_of_volume
from kiln.pools.port import Stranger

_BLOCK = 512  # Of st_blocks, whatever the file system's own are.


def of(folder: Path) -> list[tuple[str, bool]]:
    """What lies in the folder, in order, and of each whether it is a finished volume."""
    with os.scandir(folder) as found:
        return sorted((entry.name, _names_a_volume(entry.name) and entry.is_file()) for entry in found)


def strangers(folder: Path) -> list[Stranger]:
    """See ``port.Pool``. Hidden entries are none: drafts are, and what a network file system keeps for itself."""
    return [
        Stranger(name, name.removesuffix(SUFFIX) if _names_a_volume(name) else None)
        for name, is_ours in of(folder)
        if not is_ours and not name.startswith(".") and name not in (aside.NAME, trash.NAME)
    ]


def taken(folder: Path) -> Iterator[tuple[str | None, int]]:
    """See ``port.Pool``; of the files that lie in *folder* itself. No folder has none."""
    with suppress(FileNotFoundError), os.scandir(folder) as found:
        for entry in found:
            with suppress(FileNotFoundError):  # It has gone since.
                status = entry.stat(follow_symlinks=False)
                if stat.S_ISREG(status.st_mode):
                    volume = entry.name.removesuffix(SUFFIX) if has_name_of_volume(entry.name) else None
                    yield volume, status.st_blocks * _BLOCK


def _names_a_volume(name: str) -> bool:
    return has_name_of_volume(name) and NAME.fullmatch(name.removesuffix(SUFFIX)) is not None
