"""QEMU's image locks, as far as a pool must see and hold them.

QEMU locks single bytes of every file that it opens (``block/file-posix.c``):
byte 100 + p while it uses permission p, byte 200 + p while it forbids p to
others. Permission 0 is reading, 1 is writing. The locks vanish with the process, so that they
tell the truth after any crash. Knows nothing about volumes.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import struct
from collections.abc import Iterator
from pathlib import Path

from kiln.pools.errors import VolumeBusy, VolumeMissing

_READS = 100
_WRITES = 101
_FORBIDS_WRITING = 201
_FLOCK = struct.Struct("hh4xqqi4x")  # struct flock on 64-bit Linux: type, whence, start, length, pid.


def is_written(path: Path) -> bool:
    """Whether a QEMU or one of its tools has the file open for writing. Raises VolumeMissing."""
    with _open(path) as fd:
        return _is_locked(fd, _WRITES)


def is_open(path: Path) -> bool:
    """Whether a QEMU or one of its tools has the file open, if only to read it. Raises VolumeMissing."""
    with _open(path) as fd:
        return _is_locked(fd, _READS)


@contextlib.contextmanager
def hold_still(path: Path) -> Iterator[None]:
    """Keep everybody from opening the file for writing; readers are welcome. Raises VolumeBusy, VolumeMissing."""
    with _open(path) as fd:
        fcntl.fcntl(fd, fcntl.F_OFD_SETLK, _FLOCK.pack(fcntl.F_RDLCK, os.SEEK_SET, _FORBIDS_WRITING, 1, 0))
        if _is_locked(fd, _WRITES):
            raise VolumeBusy(f"{path.stem} is being written")
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


def _is_locked(fd: int, byte: int) -> bool:
    # Whoever has the permission holds a shared lock on the byte, which an exclusive one would collide with.
    asked = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, byte, 1, 0)
    found, *_ = _FLOCK.unpack(fcntl.fcntl(fd, fcntl.F_OFD_GETLK, asked))
    return bool(found != fcntl.F_UNLCK)
