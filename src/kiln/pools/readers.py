"""Whose a head is, and who may read a layer beside Kiln: the users of the machines that stand on it.

A head is 0600, and its machine's. A layer is 0400 and Kiln's. Machines that run as users of their own must open it,
others must not, also when they know its name; and one layer has many machines.
The list is the kernel's own (``acl(5)``), in the form of its extended attribute.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from kiln.pools.errors import ToolFailed, VolumeBroken, VolumeMissing

LAYER_MODE, HEAD_MODE = 0o400, 0o600
_NAME = "system.posix_acl_access"
_VERSION = struct.Struct("<I")
_ENTRY = struct.Struct("<HHI")  # tag, permissions, user
_OWNER, _USER, _GROUP, _MASK, _OTHER = 0x01, 0x02, 0x04, 0x10, 0x20
_READ = 4
_NOBODY = 0xFFFFFFFF
_MANY = 200  #: With more than so many, those that have nothing in the pool any more are left out.


def of(path: Path) -> list[int]:
    """The users that may read the file beside its owner."""
    try:
        held = os.getxattr(path, _NAME)
    except OSError as error:
        if error.errno in (errno.ENODATA, errno.EOPNOTSUPP):
            return []
        raise
    return [uid for tag, _, uid in _ENTRY.iter_unpack(held[_VERSION.size :]) if tag == _USER]


def close(path: Path) -> None:
    """Let nobody but its owner and those that were allowed read the file, and nobody write it."""
    mode = stat.S_IMODE(path.stat().st_mode)
    # Of a file with an access list the group's bits are the most that anybody on the list may do.
    if mode not in (LAYER_MODE, LAYER_MODE | stat.S_IRGRP) or (mode & stat.S_IRGRP and not of(path)):
        allowed = of(path) if mode & stat.S_IRGRP else []
        path.chmod(LAYER_MODE)
        if allowed:
            _write(path, allowed)


def seal(path: Path) -> None:
    """Make a file that nobody writes any more one that nobody can. Raises ToolFailed."""
    owner = path.stat().st_uid
    if owner != os.geteuid():
        # Whoever runs on it may go on reading it. Without access lists it has what it has open.
        with contextlib.suppress(ToolFailed):
            allow(path, owner)
    close(path)
    own(path, os.geteuid())


def allow(path: Path, uid: int) -> None:
    """Let a user read the file. Raises ToolFailed where the file system has no access lists, or no room in one."""
    present = of(path)
    if uid in present and path.stat().st_mode & stat.S_IRGRP:
        return
    if len(present) > _MANY:
        owners = {entry.stat(follow_symlinks=False).st_uid for entry in os.scandir(path.parent)}
        present = [each for each in present if each in owners]
    _write(path, sorted({*present, uid}))


def forbid(path: Path, uid: int) -> None:
    """Take back what ``allow`` gave."""
    present = of(path)
    if uid in present:
        _write(path, [each for each in present if each != uid])


def copy(source: Path, target: Path) -> None:
    """Let those read *target* that may read *source*, if it has an access list."""
    present = of(source)
    if present:
        _write(target, present)


def _write(path: Path, allowed: list[int]) -> None:
    entries = [
        (_OWNER, _READ, _NOBODY),
        *((_USER, _READ, uid) for uid in allowed),
        (_GROUP, 0, _NOBODY),
        (_MASK, _READ if allowed else 0, _NOBODY),
        (_OTHER, 0, _NOBODY),
    ]
    try:
        os.setxattr(path, _NAME, _VERSION.pack(2) + b"".join(_ENTRY.pack(*entry) for entry in entries))
    except OSError as error:
        raise ToolFailed(
            f"the access list of {path.name} cannot be written: {error.strerror}. Machines run as users of their own, "
            "and the pool's file system must have POSIX access lists with room for them (on ZFS: acltype=posixacl)"
        ) from error


def own(path: Path, uid: int) -> None:
    """Give the file to a user. Raises ToolFailed."""
    if path.stat().st_uid == uid:
        return
    try:
        os.chown(path, uid, -1)
    except PermissionError as error:
        raise ToolFailed(f"only root may give {path.stem} to user {uid}") from error


def hand_over(head: Path, uid: int) -> None:
    """Have the user write the file, and nobody else. Raises ToolFailed."""
    own(head, uid)
    head.chmod(HEAD_MODE)


def grant(head: Path, layers: Sequence[Path], uid: int | None, owners: Callable[[], Iterable[int]]) -> None:
    """Have a user write *head* and read the *layers* that it stands on; None: Kiln alone.

    With None whoever wrote the head before reads them no more, unless something of theirs is left: *owners* are the
    users that all files of the pool belong to afterwards. Raises ToolFailed.
    """
    ours, before = os.geteuid(), head.stat().st_uid
    for layer in layers:
        seal(layer)
        if uid is not None and uid != ours:
            allow(layer, uid)
    hand_over(head, ours if uid is None else uid)
    if uid is None and before != ours and before not in owners():
        for layer in layers:
            forbid(layer, before)


def close_to_all(folder: Path, files: Mapping[str, Path], chain_of: Callable[[str], Sequence[str]]) -> None:
    """Close the layers of an earlier Kiln, which everybody could read; machines that run on them go on.

    *files* are all volumes' in *folder*, and *chain_of* tells what is below one, itself last. Again after a crash at
    any line, as long as one of them is still open to everybody.
    """
    ours = os.geteuid()
    about = {volume: path.lstat() for volume, path in files.items()}
    too_open = [v for v, of in about.items() if of.st_mode & (stat.S_IROTH | stat.S_IWOTH) and of.st_uid == ours]
    if not too_open or folder.stat().st_uid != ours:
        return
    with contextlib.suppress(ToolFailed):
        for volume in (volume for volume, of in about.items() if of.st_uid != ours):
            with contextlib.suppress(VolumeMissing, VolumeBroken):
                for layer in chain_of(volume)[:-1]:
                    allow(files[layer], about[volume].st_uid)
    for volume in too_open:
        close(files[volume])
