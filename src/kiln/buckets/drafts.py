"""An object while it comes: its bytes as they arrive, and their checksums."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from kiln.buckets import facts as facts_of
from kiln.buckets.facts import ObjectFacts
from kiln.buckets.folder import FolderBuckets, beside
from kiln.buckets.port import BucketFull
from kiln.ground.crc64 import crc64
from kiln.ground.killpoints import reach
from kiln.ground.units import KiB, MiB

#: Bytes come in pieces of at most so many: what one that arrives takes in memory.
PIECE = 256 * KiB

#: What an upload leaves free on the disk: for the database, and for guests that run.
KEPT_FREE = 64 * MiB

_ZEROS = bytes(PIECE)


class Checksums:
    """MD5, CRC and length of bytes that pass."""

    def __init__(self) -> None:
        self.size_bytes = 0
        self.crc64 = crc64(b"")
        self._md5 = hashlib.md5(usedforsecurity=False)

    def add(self, piece: bytes) -> None:
        """Some more bytes."""
        self.size_bytes += len(piece)
        self._md5.update(piece)
        self.crc64 = crc64(piece, self.crc64)

    @property
    def md5(self) -> bytes:
        """The digest."""
        return self._md5.digest()

    @property
    def etag(self) -> str:
        """The digest as an ETag, without quotes."""
        return self._md5.hexdigest().upper()


class Draft:
    """A new object; it is one after ``keep``, whole and durable, and nothing is left of it after ``drop``."""

    def __init__(self, buckets: FolderBuckets, bucket: str, name: str, *, length: int | None = None) -> None:
        """*length* is how many bytes will come, where that is told.

        Raises BucketMissing, BucketClosed, BucketFull, ObjectRefused.
        """
        self.sums = Checksums()
        self._buckets = buckets
        self._is_over = False
        with full_said():
            require_room(buckets.path_of(bucket), length or 0)
            self._target, self._path, self._file = buckets.on_way(bucket, name, _opened)

    def write(self, piece: bytes) -> None:
        """The next bytes. Raises BucketFull."""
        with full_said():
            write_at(self._file, piece, self.sums.size_bytes, is_fresh=True)
        self.sums.add(piece)

    def keep(self, headers: Mapping[str, str], *, is_new_only: bool = False) -> ObjectFacts:
        """Make it the object. Raises BucketFull, FactsRefused; ObjectExists where *is_new_only* and there is one."""
        facts = ObjectFacts(etag=self.sums.etag, crc64=self.sums.crc64, headers=headers)
        try:
            with full_said():
                os.truncate(self._file, self.sums.size_bytes)
                facts_of.keep(self._file, facts)
                os.fsync(self._file)
                reach("buckets.draft.written")
                self._buckets.place(self._path, self._target, is_new_only=is_new_only)
                reach("buckets.draft.kept")
        finally:
            self.drop()
        return facts

    def drop(self) -> None:
        """Leave nothing of it, unless it is the object."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
        if not self._is_over:
            self._is_over = True
            self._path.unlink(missing_ok=True)
            self._buckets.clear_way(self._target)


def _opened(target: Path) -> tuple[Path, Path, int]:
    """*target*, and a new file beside it: its path, and its descriptor."""
    path = beside(target)
    return target, path, os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)


def write_at(file: int, piece: bytes, offset: int, *, is_fresh: bool) -> None:
    """Write all of *piece*. Where nothing was written yet, zeros are left out: a disk image is full of them."""
    if is_fresh and piece == (_ZEROS if len(piece) == PIECE else _ZEROS[: len(piece)]):
        return
    rest = memoryview(piece)
    while rest:
        written = os.pwrite(file, rest, offset)
        rest, offset = rest[written:], offset + written


def require_room(folder: Path, length: int) -> None:
    """Raise BucketFull where *length* bytes would fill the disk."""
    found = os.statvfs(folder)
    free = found.f_bavail * found.f_frsize
    if length + KEPT_FREE > free:
        raise BucketFull(f"{length} bytes are to come, and {free} are free, of which {KEPT_FREE} are kept")


@contextmanager
def full_said() -> Iterator[None]:
    """Turn the system's ways of saying that a disk is full into BucketFull."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        raise BucketFull(os.strerror(error.errno)) from error
