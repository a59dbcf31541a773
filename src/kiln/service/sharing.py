"""Whether a folder can be what processes of several hosts share: it lets files be made, and its locks hold them off.

A pool is safe among several because each sees what the others have locked: QEMU
what it writes, a Kiln what it makes and takes away. On a file system without
locks, or whose locks are known on one host alone, nothing of that would be told.
"""

from __future__ import annotations

import errno
import os
import uuid
from pathlib import Path

from kiln.ground.bytelocks import is_taken, take
from kiln.service.datafolder import DataFolder
from kiln.service.errors import SharedFolderRefused
from kiln.service.mounts import mount_of

#: What a file system answers that knows no locks, or whose server does not.
_NO_LOCKS = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL, errno.EIO)
#: Options of NFS by which locks are this host's own affair.
_OWN_LOCKS = ("local_lock=all", "local_lock=posix", "nolock")


def require_fit(at: DataFolder) -> None:
    """Raise SharedFolderRefused unless the folder that processes share can be; what is tried in it is gone after.

    That other hosts see the locks is not tried: it takes another host.
    """
    folder = at.elsewhere
    if folder is None:
        return
    found = mount_of(folder)
    if found is not None and (reason := refuse_mount(found.kind, found.options)):
        raise SharedFolderRefused(f"{folder} {reason}")
    try:
        _try_locks(folder)
    except OSError as error:
        if error.errno in _NO_LOCKS:
            raise SharedFolderRefused(f"{folder} is on a file system that keeps no locks: {error.strerror}") from error
        raise SharedFolderRefused(f"{folder} cannot be written: {error.strerror}") from error


def refuse_mount(kind: str, options: tuple[str, ...]) -> str | None:
    """Why a mount of that kind and with those options cannot be shared; None where nothing speaks against it."""
    own = [option for option in options if option in _OWN_LOCKS]
    if kind.startswith("nfs") and own:
        return f"is mounted with {own[0]}: its locks are known on this host alone"
    if "soft" in options or "softerr" in options:
        return "is mounted soft: what a machine writes would be lost while the server does not answer"
    return None


def _try_locks(folder: Path) -> None:
    path = folder / f".tmp-{uuid.uuid4()}"
    holder = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        take(holder, 0)
        other = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            if not is_taken(other, 0):
                raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))
        finally:
            os.close(other)
    finally:
        os.close(holder)
        path.unlink(missing_ok=True)
