"""Whose folder the data folder is: nothing is made or changed in one that is not a Kiln's.

A folder is a Kiln's when one has run in it, or when it holds nothing but what a
Kiln keeps there, such as buckets that were filled beforehand. Only whoever
serves or repairs holds it, and only whoever serves makes it. A folder that
processes share is held by none of them, and made by nobody: where it is missing
it may only not be mounted.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pwd
import stat
from collections.abc import Collection, Iterator
from pathlib import Path

from kiln.service.datafolder import REPLACED, RESTORING, DataFolder
from kiln.service.errors import DataFolderBusy, DataFolderRefused, DeploymentRefused, SharedFolderRefused

_MODE = 0o711  # A confined QEMU runs as a user of its own and passes through to its volumes; nobody lists what is here.
_SAID_MOST = 3

#: A first start that was killed leaves drafts of them.
_DRAFTED = frozenset({"ca.key", "ca.pem", "master.key", "volumes.key"})

#: What may lie in a folder in which no Kiln has run: what one keeps there, and what a new file system brings.
_MAY_BE_THERE = frozenset(
    {
        "ballast",
        "buckets",
        "endpoint",
        "fsck.json",
        "kiln.sqlite-shm",
        "kiln.sqlite-wal",
        "lock",
        "lost+found",
        "networks",
        "nonces",
        "pool",
    }
    | {"run", REPLACED, RESTORING, *_DRAFTED}
)


def is_kilns(at: DataFolder) -> bool:
    """Whether a Kiln has run there."""
    return at.database.is_file() or (at.pool / ".kiln").is_dir() or (at.lock.is_file() and at.pool.is_dir())


def is_half_restored(at: DataFolder, drafts: Collection[Path]) -> bool:
    """Whether ``kiln restore`` has not come to its end with one of these *drafts*, which need not be there.

    The draft of one that did is empty. The database is placed last: where there is one beside a draft, somebody has
    made another Kiln of the rest since.
    """
    return not at.database.exists() and any(draft.is_dir() and any(draft.iterdir()) for draft in drafts)


def _refuse_half_restored(at: DataFolder) -> None:
    """Raise DeploymentRefused where a restore was cut short, if only before it had anything; nothing is changed.

    In a shared folder that of another data folder counts, too: the pool there is as incomplete for everybody.
    """
    drafts = [at.path / RESTORING]
    if at.elsewhere is not None:
        drafts += sorted(at.elsewhere.glob(f"{RESTORING}-*"))
    there = [draft for draft in drafts if draft.is_dir()]
    if is_half_restored(at, there) or (there and not is_kilns(at)):
        raise DeploymentRefused(
            f"a restore into {there[0].parent} was cut short or is under way, and not all of the backup is there. "
            "`kiln restore FROM` with the same folders makes it anew."
        )


@contextlib.contextmanager
def hold_data_folder(folder: Path) -> Iterator[None]:
    """Make the data folder and keep every other Kiln out of it. Raises DataFolderRefused, DataFolderBusy."""
    make_data_folder(folder)
    with _hold_folder(folder), _hold(DataFolder(folder).lock, os.O_CREAT | os.O_RDWR):
        yield


@contextlib.contextmanager
def hold_as_it_is(folder: Path) -> Iterator[None]:
    """Keep every other Kiln out of a data folder, of which nothing is made or changed. Raises DataFolderBusy."""
    lock = DataFolder(folder).lock
    with contextlib.ExitStack() as held:
        if folder.is_dir():
            held.enter_context(_hold_folder(folder))
        if lock.is_file():  # Else an older Kiln does not hold it either, and who begins to makes it first.
            held.enter_context(_hold(lock, os.O_RDONLY))
        yield


def is_held(folder: Path) -> bool:
    """Whether a Kiln works in the folder just now; nothing is changed."""
    try:
        with hold_as_it_is(folder):
            return False
    except DataFolderBusy:
        return True


@contextlib.contextmanager
def _hold_folder(folder: Path) -> Iterator[None]:
    """Hold the folder itself: a file in it may be removed while it is held, and another of its name be held then."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except PermissionError:  # Whoever may not list it is told so, if at all, when he opens what is in there.
        yield
        return
    try:
        # NFS locks only what is open for writing, which no folder is: there the file has to do.
        with contextlib.suppress(OSError):
            _take(descriptor, folder)
        yield
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _hold(lock: Path, flags: int) -> Iterator[None]:
    descriptor = os.open(lock, flags | os.O_CLOEXEC, 0o600)
    try:
        _take(descriptor, lock.parent)
        yield
    finally:
        os.close(descriptor)


def _take(descriptor: int, folder: Path) -> None:
    """Lock what is open for oneself. Raises DataFolderBusy, OSError where it cannot be locked at all."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise DataFolderBusy(f"another Kiln works in {folder}") from None


def make_data_folder(folder: Path) -> None:
    """Have the folder be there, when it is a Kiln's or may become one. Raises DataFolderRefused."""
    _require_ours(folder)
    folder.chmod(_MODE)


def require_shared(at: DataFolder) -> None:
    """See that the folder that processes share is there, and a Kiln's or to become one; nothing is changed.

    Raises SharedFolderRefused, DataFolderRefused, DeploymentRefused where a restore was cut short.
    """
    require_mounted(at)
    _refuse_half_restored(at)
    if at.elsewhere is not None:
        _require_kilns(at.elsewhere)


def require_mounted(at: DataFolder) -> None:
    """See that the folder that processes share is there. Raises SharedFolderRefused."""
    if at.elsewhere is not None and not at.elsewhere.is_dir():
        raise SharedFolderRefused(f"{at.elsewhere} is no folder that is there")


def _require_ours(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise DataFolderRefused(f"{folder} is no folder, or lies below what is none") from None
    _require_kilns(folder)


def _require_kilns(folder: Path) -> None:
    if is_kilns(DataFolder(folder)):
        return
    entries = list(folder.iterdir())
    others = sorted(entry.name for entry in entries if _is_other(entry))
    if others:
        more = f" and {len(others) - _SAID_MOST} more" if len(others) > _SAID_MOST else ""
        raise DataFolderRefused(
            f"{folder} holds other things ({', '.join(others[:_SAID_MOST])}{more}), and no Kiln has run there"
        )
    about = folder.stat()
    if about.st_uid not in (os.geteuid(), 0) and os.geteuid() != 0:
        raise DataFolderRefused(f"{folder} belongs to {_user(about.st_uid)}")
    # The root of a new tmpfs is such a folder, too; what lies there tells that it is meant.
    if about.st_mode & stat.S_ISVTX and not entries:
        raise DataFolderRefused(f"{folder} is a folder for everybody's files")


def _is_other(entry: Path) -> bool:
    return entry.name not in _MAY_BE_THERE and entry.stem not in _DRAFTED


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"
