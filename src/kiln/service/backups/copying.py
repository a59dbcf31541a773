"""Copying one file, from an open descriptor, whole and with its digest: shared where the file system can, else sparse.

What is copied is made under its final name in a folder that is none of anybody's
yet; whoever made that folder gives it its name when all of it is on the disk.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from kiln.ground.durable import sync
from kiln.ground.killpoints import reach
from kiln.ground.units import MiB
from kiln.pools import overlay

_FICLONE = 0x40049409  #: ``ioctl``: have a file share all of another's blocks, until one of the two is written.
_PIECE = 4 * MiB
_SYNCED_AT_ONCE = 8
_ZEROS = bytes(MiB)

Count = Callable[[int], None]  #: Told of bytes that were done.


def copy(source: int, to: Path, mode: int, count: Count, time_ns: int | None = None) -> tuple[int, str]:
    """Make *to* of what is open as *source*; returns its length and SHA-256. Nothing is synced: see ``sync_below``.

    *time_ns*: of change, as it is to have it; else that of now.

    Raises OSError, FileExistsError.
    """
    reach("backup.file.before")
    target = os.open(to, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        is_shared = _share(source, target)
        length, digest = _pour(source, None if is_shared else target, count)
        os.fchmod(target, mode)
        if time_ns is not None:
            os.utime(target, ns=(time_ns, time_ns))
    finally:
        os.close(target)
    reach("backup.file.copied")
    return length, digest


def make_empty(to: Path, size_bytes: int, backing: str | None, lock: bytes) -> None:
    """Make of *to* a volume that holds nothing itself: see ``overlay.write``. Raises OSError, FileExistsError."""
    reach("backup.file.before")
    os.close(os.open(to, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
    overlay.write(to, size_bytes, backing, lock)
    to.chmod(0o400)
    reach("backup.file.copied")


def digest_of(source: int, count: Count) -> tuple[int, str]:
    """The length and the SHA-256 of what is open. Raises OSError."""
    return _pour(source, None, count)


@contextlib.contextmanager
def opened_below(folder: Path, name: str) -> Iterator[int]:
    """Open the file *name*, which may have folders before it, for reading, and follow no link on the way.

    Raises OSError: ELOOP or ENOTDIR where there is a link or something else in the way.
    """
    *parts, last = name.split("/")
    with contextlib.ExitStack() as stack:
        at = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        stack.callback(os.close, at)
        for part in parts:
            at = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=at)
            stack.callback(os.close, at)
        file = os.open(last, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=at)
        stack.callback(os.close, file)
        yield file


def sync_below(folder: Path) -> None:
    """Have all that is in the folder, and below it, on the disk: the files first. Raises OSError.

    Several at once, which go to the disk together: one by one each has a journal's commit for itself. What has another
    name was there before, and is on the disk.
    """
    walked = list(os.walk(folder))
    files = (os.path.join(path, name) for path, _, names in walked for name in names)  # noqa: PTH118 - there are many.
    with ThreadPoolExecutor(_SYNCED_AT_ONCE, thread_name_prefix="sync") as threads:
        for _ in threads.map(_sync_file, files):
            pass
        for _ in threads.map(_sync, [path for path, _, _ in walked]):
            pass


def _sync_file(path: str) -> None:
    if os.stat(path, follow_symlinks=False).st_nlink == 1:  # noqa: PTH116 - as above.
        _sync(path)


def _sync(path: str) -> None:
    sync(path, follows=False)


def _share(source: int, target: int) -> bool:
    try:
        fcntl.ioctl(target, _FICLONE, source)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        return False
    return True


def _pour(source: int, target: int | None, count: Count) -> tuple[int, str]:
    digest = hashlib.sha256()
    length, at = os.fstat(source).st_size, 0
    while at < length:
        data, end = _data_from(source, at, length)
        _zeros(digest, data - at)
        count(data - at)
        at = data
        while at < end:
            piece = os.pread(source, min(_PIECE, end - at), at)
            if not piece:  # It was cut while it was read: whoever compares stamps will see that.
                length = end = at
                break
            digest.update(piece)
            if target is not None:
                _write(target, piece, at)
            at += len(piece)
            count(len(piece))
    if target is not None:
        os.ftruncate(target, length)
    return length, digest.hexdigest()


def _write(target: int, piece: bytes, at: int) -> None:
    while piece:
        written = os.pwrite(target, piece, at)
        piece, at = piece[written:], at + written


def _data_from(source: int, at: int, length: int) -> tuple[int, int]:
    """Where the next bytes are that are no hole, and where they end."""
    try:
        data = os.lseek(source, at, os.SEEK_DATA)
        return data, min(length, os.lseek(source, data, os.SEEK_HOLE))
    except OSError as error:
        if error.errno == errno.ENXIO:
            return length, length
        return at, length


def _zeros(digest: hashlib._Hash, length: int) -> None:
    while length > 0:
        digest.update(_ZEROS[:length])
        length -= len(_ZEROS)
