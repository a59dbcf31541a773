"""Puts files where ImportImage finds them, and takes out what ExportImage wrote.

The API itself moves no bytes: an image is imported from an object of a bucket,
and exported to one. On the machine of a Kiln with folder buckets, object O of
bucket B is the file DIR/buckets/B/O below its data folder DIR, and whoever may
write there can upload. Nothing here asks the service.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import shutil
import stat
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Protocol

from kiln.cli import exits
from kiln.cli.exits import Refusal
from kiln.ground.clock import Clock, system_clock
from kiln.ground.values import dataclass
from kiln.service.datafolder import DataFolder

_UPLOADS = "uploads"
_EXPORTS = "exports"

#: FICLONE of linux/fs.h: have one file share the blocks of another.
_FICLONE = 0x40049409

#: How long after its last byte an upload may be without an import.
YOUNG_S = 3600.0

_ELSEWHERE = "Without --data and KILN_DATA the file is sent to the service by its API."


def _refuse(message: str, hint: str = "") -> Refusal:
    return Refusal(message, exits.FILE, hint)


class Brought(Protocol):
    """An object that was put into a bucket for one import."""

    @property
    def bucket(self) -> str:
        """The bucket."""

    @property
    def object(self) -> str:
        """Its name there."""

    @property
    def said(self) -> str:
        """Where it lies, as it is said."""

    def remove(self) -> None:
        """Take it away again; it is no error when it is gone."""


@dataclass(frozen=True)
class Upload:
    """One that is a file of this machine."""

    bucket: str
    object: str
    path: Path

    @property
    def said(self) -> str:
        """Where it lies, as it is said."""
        return str(self.path)

    def remove(self) -> None:
        """Take it away again; it is no error when it is gone."""
        self.path.unlink(missing_ok=True)


def uploads_of(caller: str) -> str:
    """The bucket that is the caller's for uploads: a bucket belongs to one account, and no other can guess its name."""
    return f"{_UPLOADS}-{caller}"


def exports_of(caller: str) -> str:
    """The same for exports."""
    return f"{_EXPORTS}-{caller}"


def bucket_folder(data: Path | None, bucket: str) -> Path:
    """The folder of a bucket, made when it is missing. Raises Refusal where there are no folder buckets."""
    if data is None:
        raise _refuse("no data folder is named, by KILN_DATA or --data", _ELSEWHERE)
    buckets = DataFolder(data).buckets
    if not buckets.is_dir():
        raise _refuse(f"{data} is not the data folder of a Kiln that has run: it has no folder buckets", _ELSEWHERE)
    folder = buckets / bucket
    try:
        if not folder.is_dir():
            folder.mkdir(mode=0o700)
            _hand_over(folder, buckets)
    except OSError as error:
        raise _refuse(f"{folder}: {error.strerror}", _ELSEWHERE) from error
    return folder


def where(data: Path | None, bucket: str) -> str:
    """The folder of a bucket as it is said behind its name; nothing where it is not of this machine."""
    folder = None if data is None else DataFolder(data).buckets / bucket
    return f", {folder}" if folder is not None and folder.is_dir() else ""


def put(file: Path, data: Path | None, bucket: str) -> Upload:
    """Put *file* into the bucket, without copying its bytes where the file systems allow it.

    A reflink where they can, else a hard link to a file of ours, else a copy.
    Raises Refusal.
    """
    try:
        facts = file.stat()
    except OSError as error:
        raise _refuse(f"{file}: {error.strerror}") from error
    if not stat.S_ISREG(facts.st_mode):
        raise _refuse(f"{file} is not a regular file")
    folder = bucket_folder(data, bucket)
    target = folder / fresh_name(file.name)
    try:
        _share(file.resolve(), target, facts.st_uid)
        _hand_over(target, folder)
    except OSError as error:
        target.unlink(missing_ok=True)
        raise _refuse(f"{file} cannot be put into {folder}: {error.strerror}", _ELSEWHERE) from error
    except BaseException:  # Ctrl-C, or a signal that ends the program: what is given up takes no room.
        target.unlink(missing_ok=True)
        raise
    return Upload(bucket, target.name, target)


@contextmanager
def receiving(name: str, data: Path | None, bucket: str) -> Iterator[tuple[Upload, BinaryIO]]:
    """A new object of the bucket, and its file to write to; it is gone again unless all went well. Raises Refusal."""
    folder = bucket_folder(data, bucket)
    target = folder / fresh_name(name)
    try:
        with target.open("xb") as file:
            _hand_over(target, folder)
            yield Upload(bucket, target.name, target), file
    except BaseException:
        target.unlink(missing_ok=True)
        raise


def fresh_name(name: str) -> str:
    """A name that no object has, and that every object may have."""
    return f"{uuid.uuid4().hex[:8]}-{re.sub(r'[^A-Za-z0-9._-]', '_', name)[-100:].lstrip('.')}"


def remove_left(folder: Path, clock: Clock = system_clock) -> None:
    """Take away what was left in a bucket for uploads; what is younger than an hour may be somebody's who goes on."""
    before = clock() - YOUNG_S
    for left in folder.iterdir():
        facts = left.lstat()
        if stat.S_ISREG(facts.st_mode) and facts.st_ctime < before:
            left.unlink(missing_ok=True)


def require_place(file: Path) -> None:
    """See, before an export that may take long, that *file* can be made, or something in it. Raises Refusal."""
    folder = file if file.is_dir() else file.parent
    if not folder.is_dir():
        raise _refuse(f"{folder} is no folder that is there", "Nothing was exported. Make it first.")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise _refuse(f"{folder}: {os.strerror(errno.EACCES)}", "Nothing was exported.")


def take(data: Path | None, bucket: str, name: str, file: Path) -> Path:
    """Move an object out of its bucket to *file*, or into that folder: where it is then.

    Raises Refusal; then it lies in the bucket as before.
    """
    source = bucket_folder(data, bucket) / name
    target = file / name if file.is_dir() else file
    was_there = target.exists()
    try:
        shutil.move(source, target)
    except OSError as error:
        if source.exists() and not was_there:
            target.unlink(missing_ok=True)  # What of it found room.
        hint = f"The export is whole: {source}. Move it to where there is room, or delete it."
        raise _refuse(f"{target}: {error.strerror or error}", hint) from error
    return target


def _share(source: Path, target: Path, owner: int) -> None:
    if _reflink(source, target):
        return
    if owner == os.geteuid() == target.parent.stat().st_uid:
        # A link to somebody else's file would be somebody else's to change.
        try:
            os.link(source, target)
        except OSError as error:
            if error.errno not in (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP):
                raise
        else:
            return
    shutil.copyfile(source, target)


def _hand_over(made: Path, beside: Path) -> None:
    """Give what root has made to the user that the service runs as, who has what is beside it."""
    service = beside.stat()
    if os.geteuid() == 0 and made.stat().st_uid != service.st_uid:
        os.chown(made, service.st_uid, service.st_gid)


def _reflink(source: Path, target: Path) -> bool:
    with source.open("rb") as from_file, target.open("xb") as to_file:
        try:
            fcntl.ioctl(to_file, _FICLONE, from_file.fileno())
        except OSError:
            target.unlink()
            return False
    return True
