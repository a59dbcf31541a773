"""Room that is kept on the database's disk, so that something can be deleted when there is none left.

To delete is to write: a row that says so comes before the bytes go. A file of
no use is therefore kept beside the database, and given up when such a write
finds no room; what it was the write of then gives back more. Other requests go
on being refused, since they would only use it up, until it is there again.
"""

from __future__ import annotations

import os
from pathlib import Path

from kiln.ground.journal import Journal
from kiln.ground.killpoints import reach
from kiln.ground.units import MiB

#: A deletion writes some 20 KiB; a start needs 32 KiB for SQLite's index of its log.
SIZE_BYTES = 1 * MiB

#: It is not filled again with the last room there is, nor for what is free between two writes of a guest.
_LEAST_FREE = 16 * MiB

log = Journal("kiln.service")


class Ballast:
    """The file at *path*, which need not exist. Safe to use from any thread."""

    def __init__(self, path: Path, size_bytes: int = SIZE_BYTES) -> None:
        self._path = path
        self._size_bytes = size_bytes
        # It is there and empty when it was given up; who never could take it up has no file.
        self._is_given_up = path.exists() and self._kept_bytes() == 0

    def fill(self) -> None:
        """Take up the room, unless that is done or little is free; never raises for want of room."""
        if self._kept_bytes() >= self._size_bytes or self.free_bytes() < _LEAST_FREE:
            return
        descriptor = os.open(self._path, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600)
        try:
            reach("ballast.fill.before")
            os.posix_fallocate(descriptor, 0, self._size_bytes)
            self._is_given_up = False
            reach("ballast.fill.done")
        except OSError as error:
            # Somebody was quicker, or the file system cannot promise room.
            log.warning("ballast_not_filled", reason=os.strerror(error.errno or 0))
            os.ftruncate(descriptor, 0)
        finally:
            os.close(descriptor)

    def is_given_up(self) -> bool:
        """Whether the room was let go, and so little is free that it cannot be taken up again."""
        if self._is_given_up and self.free_bytes() >= _LEAST_FREE:
            self.fill()
            self._is_given_up = False  # Also where the file system cannot promise room: there is some.
        return self._is_given_up

    def give_up(self) -> bool:
        """Let the room go; False when there was none to let go."""
        if self._kept_bytes() == 0:
            return False
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            reach("ballast.give_up.before")
            self._is_given_up = True  # Before it is so, that nobody takes it who is not to have it.
            os.ftruncate(descriptor, 0)
            reach("ballast.give_up.cut")
            # A journalling file system has the room only once it has written down that it is free.
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        log.error("ballast_given_up", reason="the disk is full; what gives space back is still recorded")
        return True

    def free_bytes(self) -> int:
        """What the disk has free for this process."""
        found = os.statvfs(self._path.parent)
        return found.f_frsize * (found.f_bfree if os.geteuid() == 0 else found.f_bavail)

    def _kept_bytes(self) -> int:
        try:
            return self._path.stat().st_blocks * 512
        except FileNotFoundError:
            return 0
