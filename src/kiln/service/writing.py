"""Whether the folders of a Kiln can be written just now, and what cannot be done where they cannot.

A file system that meets an error becomes read-only under whoever uses it, and
so does a mount or a folder by its operator's hand. What is read goes on, so that
a Kiln which only looks whether its database answers is well to the last.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

from kiln.service.datafolder import DataFolder

#: A file system that has no files without a name, or a kernel that does not know them for it.
_NOT_KNOWN = frozenset({errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL, errno.ENOSYS})
#: Said elsewhere, and by what is free: it is no folder that cannot be written.
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


def closed(folder: DataFolder, *, has_database: bool) -> Iterator[tuple[str, str]]:
    """Of each folder that lets nothing be written: its name, and which it is, why, and what cannot be done.

    *has_database* says that the database lies in the data folder, so that there is no more to be said.
    """
    if (reason := _why_closed(folder.path)) is not None:
        what = "nothing can be made, changed or deleted" if has_database else "no new key can be kept"
        yield "data", f"the data folder cannot be written ({reason}): {what}"
        if has_database:
            return
    for path, place, name, what in (
        (folder.pool, "pool", "pool", "no disk can be made, captured or deleted, and no image imported"),
        (folder.run, "machines", "folder of the machines", "no machine can be started"),
        (folder.buckets, "buckets", "folder of the buckets", "nothing can be exported or uploaded"),
    ):
        if (reason := _why_closed(path)) is not None:
            yield place, f"the {name} cannot be written ({reason}): {what}"


def _why_closed(path: Path) -> str | None:
    """Why no file can be made in the folder, in the system's words; None where one can, or there is no folder."""
    try:
        os.close(os.open(path, os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, 0o600))
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno in _FULL:
            return None
        if error.errno not in _NOT_KNOWN:
            return os.strerror(error.errno or errno.EIO)
        if not os.access(path, os.W_OK | os.X_OK, effective_ids=True):
            return os.strerror(errno.EROFS if os.statvfs(path).f_flag & os.ST_RDONLY else errno.EACCES)
    return None
