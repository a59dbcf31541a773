"""Buckets that are folders: object O of bucket B is the file ``<root>/B/O``."""

from __future__ import annotations

import ctypes
import errno
import os
import re
import stat
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import BinaryIO, TypeVar

from kiln.buckets.listing import Page, page
from kiln.buckets.port import (
    BUCKET_NAME,
    PARTIAL,
    BucketClosed,
    BucketMissing,
    BucketNotEmpty,
    ObjectExists,
    ObjectIsFolder,
    ObjectMissing,
    ObjectRefused,
    is_object_name,
)
from kiln.ground.durable import sync
from kiln.ground.killpoints import reach

#: A name that keeps to the rule leaves no way out of the root.
_BUCKET = re.compile(BUCKET_NAME)
#: What opening answers for a link, for a file that was to be a folder, and for a socket or a device without a driver.
_NO_OBJECT = (errno.ELOOP, errno.ENOTDIR, errno.ENXIO, errno.ENODEV)
_AT_FDCWD = -100  #: Of linux/fcntl.h: a path is one of the working folder.
_RENAME_NOREPLACE = 1  #: Of linux/fs.h.
_NOT_ALLOWED = (errno.EACCES, errno.EPERM, errno.EROFS)
#: A folder that is empty goes with the last object in it, also where another is just on its way there. Whoever comes
#: makes it again, so often at the most: somebody would have to be quicker each time.
_TRIES = 16

Result = TypeVar("Result")


class FolderBuckets:
    """See the module's docstring. Links are never followed, so no object can lie outside its bucket."""

    def __init__(self, root: Path) -> None:
        self._root = root
        # What is imported and exported is nobody else's business on this host.
        root.mkdir(mode=0o700, parents=True, exist_ok=True)

    def has(self, bucket: str) -> bool:
        """Whether there is such a bucket."""
        if _BUCKET.fullmatch(bucket) is None:
            return False
        with _closed_said(bucket):
            found = _found(self._root / bucket)
        return found is not None and stat.S_ISDIR(found.st_mode)

    def check_writable(self, bucket: str) -> None:
        """See the port."""
        if not self.has(bucket):
            raise BucketMissing(bucket)
        folder = self._root / bucket
        if not os.access(folder, os.W_OK | os.X_OK, effective_ids=True):
            raise BucketClosed(f"{bucket} can't be written")

    def size(self, bucket: str, name: str) -> int:
        """An object's bytes."""
        with self.fetched(bucket, name) as file:
            return os.fstat(file.fileno()).st_size

    @contextmanager
    def fetched(self, bucket: str, name: str) -> Iterator[BinaryIO]:
        """The object's own file: nothing is copied."""
        with ExitStack() as opened:
            with _closed_said(f"{bucket}/{name}"):
                path = self._object(bucket, name)
                file = opened.enter_context(_opened(self._root, path.relative_to(self._root).parts))
            yield file

    @contextmanager
    def stored(self, bucket: str, name: str) -> Iterator[Path]:
        """A hidden file beside the object, empty at first, renamed on success and removed on failure."""
        target, partial = self.on_way(bucket, name, _begun)
        try:
            yield partial
            with partial.open("rb") as file:
                os.fsync(file.fileno())
            reach("buckets.stored.written")
            self.place(partial, target)
            reach("buckets.stored.renamed")
        finally:
            partial.unlink(missing_ok=True)
            self.clear_way(target)

    def on_way(self, bucket: str, name: str, act: Callable[[Path], Result]) -> Result:
        """What *act* gives of the path of a new object, to which folders lead by then; again where one goes just then.

        Where *act* fails, the folders that hold nothing go again. Raises BucketMissing, BucketClosed, ObjectRefused,
        and what *act* raises.
        """
        for n in range(_TRIES):
            target = self._way(bucket, name)
            try:
                return act(target)
            except FileNotFoundError:
                self.clear_way(target)
                if n == _TRIES - 1:
                    raise
            except BaseException:
                self.clear_way(target)
                raise
        raise AssertionError("it has returned or raised")

    def check_way(self, bucket: str, name: str, *, is_new_only: bool = False) -> None:
        """Raise what would hinder an object from coming to be. Nothing is changed.

        Raises BucketMissing, BucketClosed, ObjectRefused; ObjectExists where *is_new_only* and there is something.
        """
        target = self._way(bucket, name)
        self.clear_way(target)
        if is_new_only and os.path.lexists(target):
            raise ObjectExists(target.name)

    def _way(self, bucket: str, name: str) -> Path:
        """The path of a new object, after the folders that lead there were made."""
        with _closed_said(bucket):
            target = self._path(bucket, name)
            try:
                _make_way(target, f"{bucket}/{name}")
                self.check_writable(bucket)
            except BaseException:
                self.clear_way(target)
                raise
        return target

    def clear_way(self, target: Path) -> Path:
        """Remove the folders that led to *target*, a path that ``on_way`` gave, as far as they hold nothing.

        An empty one would be in the way of an object of its name. Returns the first that stays.
        """
        folder = target.parent
        while folder.parent != self._root:
            try:
                folder.rmdir()
            except FileNotFoundError:
                pass  # Somebody was quicker, or it was never made.
            except OSError:
                break  # Something else is in it.
            folder = folder.parent
        return folder

    def place(self, file: Path, target: Path, *, is_new_only: bool = False) -> None:
        """Give a file that is whole and on the disk the name of an object, and make that durable.

        Raises ObjectExists where *is_new_only* and there is something, ObjectRefused where what is there is no object;
        FileNotFoundError where a folder that led there is gone; OSError.
        """
        spoken = target.relative_to(self._root).as_posix()
        _require_object(target, spoken)
        try:
            if is_new_only:
                _rename_to_new(file, target)
            else:
                file.replace(target)
        except (IsADirectoryError, NotADirectoryError) as error:  # It has become so just now.
            raise ObjectRefused(f"no file can be written to {spoken}: {error.strerror}") from None
        sync_folders(target.parent, self._root)

    def names(self) -> list[str]:
        """Every bucket, in order."""
        with os.scandir(self._root) as entries:
            return sorted(
                one.name for one in entries if _BUCKET.fullmatch(one.name) and one.is_dir(follow_symlinks=False)
            )

    def make(self, bucket: str) -> None:
        """Make a bucket, if there is none of that name. Raises BucketMissing for what can be no name, BucketClosed."""
        if _BUCKET.fullmatch(bucket) is None:
            raise BucketMissing(bucket)
        with _closed_said(bucket), suppress(FileExistsError):
            (self._root / bucket).mkdir(mode=0o700)
            reach("buckets.made")
            sync_folders(self._root, self._root)

    def remove(self, bucket: str) -> None:
        """Remove a bucket in which there is nothing but empty folders.

        Raises BucketMissing, BucketClosed, BucketNotEmpty.
        """
        if self.page(bucket, most=1).objects:
            raise BucketNotEmpty(bucket)
        with _closed_said(bucket):
            for folder, _, _ in os.walk(self._root / bucket, topdown=False):
                try:
                    Path(folder).rmdir()
                except OSError as error:
                    if error.errno == errno.ENOENT:
                        continue  # Somebody else removes it, too.
                    if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.EBUSY):
                        raise
                    raise BucketNotEmpty(bucket) from None
            reach("buckets.removed")
            sync_folders(self._root, self._root)

    def page(self, bucket: str, *, prefix: str = "", after: str = "", delimiter: str = "", most: int = 100) -> Page:
        """Some of the bucket's objects: see ``listing.page``. Raises BucketMissing, BucketClosed."""
        with self.folder(bucket) as descriptor:
            return page(descriptor, prefix=prefix, after=after, delimiter=delimiter, most=most)

    @contextmanager
    def folder(self, bucket: str) -> Iterator[int]:
        """The bucket's folder, open. Raises BucketMissing, BucketClosed."""
        if not self.has(bucket):
            raise BucketMissing(bucket)
        with _closed_said(bucket), _folder(self._root, (bucket,)) as descriptor:
            yield descriptor

    def path_of(self, bucket: str) -> Path:
        """Where the bucket lies. Raises BucketMissing, BucketClosed."""
        if not self.has(bucket):
            raise BucketMissing(bucket)
        return self._root / bucket

    def delete(self, bucket: str, name: str) -> None:
        """Delete an object, and the folders that hold nothing then; it is no error when there is none.

        Raises BucketMissing, BucketClosed, ObjectRefused.
        """
        with _closed_said(f"{bucket}/{name}"):
            try:
                path = self._object(bucket, name)
                path.unlink()
            except (ObjectMissing, FileNotFoundError):
                return
            reach("buckets.deleted")
            folder = self.clear_way(path)
            sync_folders(folder, folder)

    def delete_any(self, bucket: str, name: str) -> None:
        """As ``delete``, where it is no error either that no object can have the name."""
        if is_object_name(name):
            with suppress(ObjectRefused):
                self.delete(bucket, name)

    def sweep(self) -> list[str]:
        """Remove half-written objects that a crash left; returns their names, for the log.

        Those are regular files within buckets. Whatever else bears such a name is somebody's and stays; no link is
        followed, also none that takes a folder's place meanwhile.
        """
        swept: list[str] = []
        folders: list[tuple[str, ...]] = [()]
        while folders:
            parts = folders.pop()
            # A folder that is gone by now, or closed to Kiln, holds nothing of Kiln's.
            with suppress(FileNotFoundError, NotADirectoryError, PermissionError), _folder(self._root, parts) as fd:
                for entry in list(os.scandir(fd)):
                    if entry.is_dir(follow_symlinks=False):
                        folders.append((*parts, entry.name))
                    elif parts and entry.name.startswith(PARTIAL) and entry.is_file(follow_symlinks=False):
                        swept += _unlinked(fd, parts, entry.name)
        return swept

    def _object(self, bucket: str, name: str) -> Path:
        path = self._path(bucket, name)
        found = _found(path)
        if found is None:
            raise ObjectMissing(f"{bucket}/{name}")
        if stat.S_ISDIR(found.st_mode):
            raise ObjectIsFolder(f"{bucket}/{name} is a folder")
        if not stat.S_ISREG(found.st_mode):
            raise ObjectRefused(f"{bucket}/{name} is not a regular file")
        return path

    def _path(self, bucket: str, name: str) -> Path:
        if not self.has(bucket):
            raise BucketMissing(bucket)
        parts = PurePosixPath(name).parts
        if (
            not parts
            or name.startswith("/")
            or "\0" in name
            or any(p in ("..", ".") or p.startswith(PARTIAL) for p in parts)
        ):
            raise ObjectRefused(f"{name!r} is not the name of an object")
        path = self._root / bucket
        for part in parts:
            path = path / part
            found = _found(path)
            if found is not None and stat.S_ISLNK(found.st_mode):
                raise ObjectRefused(f"{bucket}/{name} goes through a link")
        return path


def beside(target: Path) -> Path:
    """The path of a file that is no object, and may become the one at *target*."""
    return target.parent / f"{PARTIAL}{uuid.uuid4().hex}"


def _rename_to_new(file: Path, target: Path) -> None:
    """Rename where nothing has that name. Raises ObjectExists, OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.renameat2(_AT_FDCWD, os.fsencode(file), _AT_FDCWD, os.fsencode(target), _RENAME_NOREPLACE) == 0:
        return
    number = ctypes.get_errno()
    if number == errno.EEXIST or (number == errno.EINVAL and os.path.lexists(target)):
        raise ObjectExists(target.name)
    if number != errno.EINVAL:
        raise OSError(number, os.strerror(number), str(file))
    file.rename(target)  # On a file system that has no such way somebody may come between.


@contextmanager
def _closed_said(spoken: str) -> Iterator[None]:
    """Turn the system's ways of saying that this service may not into BucketClosed."""
    try:
        yield
    except OSError as error:
        if error.errno not in _NOT_ALLOWED:
            raise
        raise BucketClosed(f"{spoken}: {os.strerror(error.errno)}") from None


def _found(path: Path) -> os.stat_result | None:
    """What lies at *path*, links not followed; None also where its name is longer than the file system has them."""
    try:
        return path.lstat()
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG):
            return None
        raise


def _make_way(target: Path, spoken: str) -> None:
    """Make the folders of a new object. Raises ObjectRefused for a name that no file can have here."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _require_object(target, spoken)
    except FileNotFoundError:
        return  # A folder that was there has just gone: whoever writes there next finds out.
    except OSError as error:
        if error.errno not in (errno.EEXIST, errno.ENOTDIR, errno.ENAMETOOLONG):
            raise
        if error.errno == errno.EEXIST:
            found = _found(Path(error.filename))
            if found is None or stat.S_ISDIR(found.st_mode):
                return  # Likewise: it was in the way of being made, and gone as it was looked at; it may be back.
        raise ObjectRefused(f"no file can be written to {spoken}: {os.strerror(error.errno)}") from None


def _require_object(target: Path, spoken: str) -> None:
    """Raise ObjectRefused where something lies at *target* that is no object: it is somebody's, and stays."""
    try:
        mode = target.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISREG(mode):
        kind = "a folder" if stat.S_ISDIR(mode) else "there, and not a regular file"
        raise ObjectRefused(f"{spoken} is {kind}")


def _begun(target: Path) -> tuple[Path, Path]:
    """*target*, and a file beside it, for which its folder stays."""
    partial = beside(target)
    os.close(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    return target, partial


def _unlinked(folder: int, parts: tuple[str, ...], name: str) -> list[str]:
    """Unlink one file of an open folder; what it is called, or nothing where somebody was quicker."""
    try:
        os.unlink(name, dir_fd=folder)
    except FileNotFoundError:
        return []
    reach("buckets.sweep.unlinked")
    return ["/".join((*parts, name))]


@contextmanager
def _folder(root: Path, parts: Sequence[str]) -> Iterator[int]:
    """The folder at *parts* below *root*, opened part by part; none is a link. Raises OSError."""
    at = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in parts:
            above, at = at, os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=at)
            os.close(above)
        yield at
    finally:
        os.close(at)


@contextmanager
def _opened(root: Path, parts: Sequence[str]) -> Iterator[BinaryIO]:
    """The regular file at *parts* below *root*, opened part by part, so that none can become a link meanwhile.

    Raises ObjectMissing, ObjectRefused.
    """
    spoken = "/".join(parts)
    with ExitStack() as opened:
        try:
            # Without O_NONBLOCK a named pipe would hold the caller until somebody writes.
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            with _folder(root, parts[:-1]) as folder:
                at = os.open(parts[-1], flags, dir_fd=folder)
            opened.callback(os.close, at)
        except FileNotFoundError:
            raise ObjectMissing(spoken) from None
        except OSError as error:
            if error.errno not in _NO_OBJECT:
                raise
            raise ObjectRefused(f"{spoken} is not a regular file") from None
        if not stat.S_ISREG(os.fstat(at).st_mode):
            raise ObjectRefused(f"{spoken} is not a regular file")
        yield opened.enter_context(os.fdopen(at, "rb", closefd=False))


def sync_folders(folder: Path, root: Path) -> None:
    """Make what was renamed in *folder* durable, and the folders themselves that lead to it from *root*.

    One that is gone by now has nothing that could be lost; that it is gone is for the next to say.
    """
    while True:
        with suppress(FileNotFoundError):
            sync(folder)
        if folder == root:
            break
        folder = folder.parent
