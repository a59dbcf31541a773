"""QEMU's image locks, as far as a pool must see and hold them.

QEMU locks single bytes of every file that it opens (``block/file-posix.c``):
byte 100 + p while it uses permission p, byte 200 + p while it forbids p to
others. Permission 0 is reading, 1 is writing. Beside them is Kiln's own
(``guests.KEPT_BYTE``), of a QEMU that may write again without asking. The locks
vanish with the process, so that they tell the truth after any crash. Knows
nothing about volumes.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from kiln.ground.bytelocks import is_taken, take
from kiln.pools.errors import VolumeBusy, VolumeMissing
from kiln.pools.guests import KEPT_BYTE

_READS = 100
_WRITES = 101
_FORBIDS_READING = 200
_FORBIDS_WRITING = 201


def is_written(path: Path) -> bool:
    """Whether a QEMU or one of its tools has the file open for writing, or may again. Raises VolumeMissing."""
    with _open(path) as fd:
        return is_taken(fd, _WRITES) or is_taken(fd, KEPT_BYTE)


def require_not_kept(path: Path) -> None:
    """Raise VolumeBusy where a QEMU may come to write the file without asking. Raises VolumeMissing."""
    with _open(path) as fd:
        if is_taken(fd, KEPT_BYTE):
            raise VolumeBusy(f"{path.stem} is kept for a guest that may go on elsewhere")


def is_open(path: Path) -> bool:
    """Whether a QEMU or one of its tools has the file open, if only to read it. Raises VolumeMissing."""
    with _open(path) as fd:
        return is_taken(fd, _READS) or is_taken(fd, KEPT_BYTE)


@contextlib.contextmanager
def hold_still(path: Path) -> Iterator[None]:
    """Keep everybody from opening the file for writing; readers are welcome. Raises VolumeBusy, VolumeMissing."""
    with _open(path) as fd:
        if not take(fd, _FORBIDS_WRITING, shared=True) or is_taken(fd, _WRITES) or is_taken(fd, KEPT_BYTE):
            raise VolumeBusy(f"{path.stem} is being written")
        yield


@contextlib.contextmanager
def keep_closed(path: Path) -> Iterator[None]:
    """Keep everybody from opening the file at all, as while it is taken away. Raises VolumeBusy, VolumeMissing.

    Whoever tries meanwhile is told by QEMU that the file is locked.
    """
    with _open(path) as fd:
        if not (take(fd, _FORBIDS_READING, shared=True) and take(fd, _FORBIDS_WRITING, shared=True)):
            raise VolumeBusy(f"{path.stem} is held still")
        if is_taken(fd, _READS) or is_taken(fd, _WRITES) or is_taken(fd, KEPT_BYTE):
            raise VolumeBusy(f"{path.stem} is open")
        yield


@contextlib.contextmanager
def _open(path: Path) -> Iterator[int]:
    try:
        # Without O_NONBLOCK a named pipe would hold the caller until somebody writes.
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise VolumeMissing(path.stem) from None
    try:
        yield fd
    finally:
        os.close(fd)
