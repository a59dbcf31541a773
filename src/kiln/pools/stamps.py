"""Whether an open file still is what it was when it was judged.

A check and the reads that it is to make safe happen at different times. A file
that is held open can't be exchanged for another, but it can be written, so its
identity and its times are taken down first and compared after the last read.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator

from kiln.pools.errors import SourceRefused, SourceTouched, ToolFailed
from kiln.pools.port import Stamp

# What a file on a medium that nobody can write, or one without a sync, answers.
_NOT_SYNCED = (errno.EINVAL, errno.EROFS)


def take(fd: int) -> Stamp:
    """What tells the open file from another, and from itself once it was written. Raises OSError."""
    try:
        # A page of a shared mapping that is dirty already is written without a trace in the file's times. Once it
        # was synced the next write leaves one (measured on ext4; a tmpfs never tells).
        os.fsync(fd)
    except OSError as error:
        if error.errno not in _NOT_SYNCED:
            raise
    found = os.fstat(fd)
    return Stamp(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


@contextlib.contextmanager
def held(fd: int, stamp: Stamp) -> Iterator[None]:
    """Make sure that what the body reads from the open file is what it was when *stamp* was taken.

    Raises SourceRefused, before the body or after it, when the file is another
    or was written, and SourceTouched when its rights or its names changed, in
    which case nobody can tell whether it was written too. The body's own
    SourceRefused and ToolFailed give way to these.
    """
    _compare(fd, stamp)
    try:
        yield
    except (SourceRefused, ToolFailed):
        _compare(fd, stamp)
        raise
    _compare(fd, stamp)


def _compare(fd: int, stamp: Stamp) -> None:
    found = os.fstat(fd)
    now = Stamp(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
    if now == stamp:
        return
    # The time of the last write can be set back, that of the last change can't, so this one is never left out.
    if now == Stamp(stamp.device, stamp.inode, stamp.size_bytes, stamp.modified_ns, now.changed_ns):
        raise SourceTouched("The file's rights or names changed while it was imported.")
    raise SourceRefused("The file changed while it was imported.")
