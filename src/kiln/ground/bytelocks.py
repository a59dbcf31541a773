"""Locks of single bytes of an open file, which belong to what was opened and not to the process.

``F_OFD_SETLK`` of fcntl(2): they end with the descriptor, whatever else of the
file is opened and closed, hold off threads too, and are those of a server where
the file is on NFS or CephFS. A byte need not be there to be locked.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct

_FLOCK = struct.Struct("hh4xqqi4x")  # struct flock on 64-bit Linux: type, whence, start, length, pid.


def take(fd: int, byte: int, *, shared: bool = False) -> bool:
    """Lock a byte, or change its lock, without waiting; False while somebody else's lock is in the way.

    A shared one needs a file that is open for reading, another one that is open for writing. Raises OSError.
    """
    try:
        fcntl.fcntl(fd, fcntl.F_OFD_SETLK, _of(fcntl.F_RDLCK if shared else fcntl.F_WRLCK, byte))
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.EACCES):
            return False
        raise
    return True


def give_back(fd: int, byte: int) -> None:
    """Unlock a byte. Raises OSError."""
    fcntl.fcntl(fd, fcntl.F_OFD_SETLK, _of(fcntl.F_UNLCK, byte))


def is_taken(fd: int, byte: int) -> bool:
    """Whether somebody else has locked the byte, shared or not. Raises OSError."""
    # Whoever has a shared lock is in the way of one that is not.
    found, *_ = _FLOCK.unpack(fcntl.fcntl(fd, fcntl.F_OFD_GETLK, _of(fcntl.F_WRLCK, byte)))
    return bool(found != fcntl.F_UNLCK)


def _of(kind: int, byte: int) -> bytes:
    return _FLOCK.pack(kind, os.SEEK_SET, byte, 1, 0)
