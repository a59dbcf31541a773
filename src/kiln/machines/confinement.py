"""Who a machine runs as when Kiln is root: a user of its own, that nothing else is run as.

Numbers only grow, so that a file which an old machine left is not the next
one's. Files are handed to that user by the pool (``grant``); whether it can
reach them at all is looked at before a machine starts, since QEMU opens its
files again later, in the middle of a snapshot.
"""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from kiln.machines.errors import MachineRefused
from kiln.machines.port import Drive
from kiln.machines.runfolder import RunFolder

_FIRST, _COUNT = 700_000, 65_536  #: Above what distributions and their subordinate ranges give away.
_SMALL_FIRST, _SMALL_COUNT = 30_000, 30_000  #: In a container that has only 65,536 users.

_KVM = Path("/dev/kvm")
_OTHERS_MAY_USE = stat.S_IROTH | stat.S_IWOTH
_GROUP_MAY_USE = stat.S_IRGRP | stat.S_IWGRP


def uid_of(folder: RunFolder) -> int | None:
    """The user of the folder's machine, the same for good; None when Kiln is not root and cannot change users."""
    if os.geteuid() != 0:
        return None
    with folder.held():
        try:
            return int(folder.uid_file.read_text())
        except (FileNotFoundError, ValueError):
            uid = _next(folder.path.parent / "next-uid")
        draft = folder.uid_file.with_suffix(".new")
        draft.write_text(str(uid))
        draft.replace(folder.uid_file)
        return uid


def require_reachable(drives: Iterable[Drive], uid: int) -> None:
    """Raise MachineRefused when the user cannot come to a file of the drives through the folders above it."""
    folders = {parent for drive in drives for path in _files(drive.blockdevs) for parent in path.parents}
    for folder in sorted(folders):
        try:
            about = folder.stat()
        except FileNotFoundError:
            continue  # QEMU will say so, and better.
        can_pass = stat.S_IXUSR if about.st_uid == uid else stat.S_IXOTH
        if not about.st_mode & can_pass:
            raise MachineRefused(
                f"A machine's own user cannot reach its disks through {folder}: "
                f"allow passing through it (chmod o+x {folder}) or keep Kiln's data elsewhere."
            )


def kvm_groups() -> list[int] | None:
    """The groups that let any user open /dev/kvm; None when no group of harmless power does."""
    try:
        about = _KVM.stat()
    except FileNotFoundError:
        return None
    if about.st_mode & _OTHERS_MAY_USE == _OTHERS_MAY_USE:
        return []
    return [about.st_gid] if about.st_mode & _GROUP_MAY_USE == _GROUP_MAY_USE and about.st_gid != 0 else None


def _files(options: Any) -> Iterator[Path]:
    """Every file that block node options name, at any depth."""
    if isinstance(options, dict):
        for name, value in options.items():
            if name == "filename" and str(value).startswith("/"):
                yield Path(value)
            yield from _files(value)
    elif isinstance(options, list | tuple):
        for part in options:
            yield from _files(part)


def _next(counter: Path) -> int:
    first, count = _range()
    file = os.open(counter, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        used = int(os.read(file, 20) or b"0")
        os.pwrite(file, str(used + 1).encode(), 0)
        os.fsync(file)
    finally:
        os.close(file)
    return first + used % count


def _range() -> tuple[int, int]:
    """The users that exist for us: a container may map only some of them."""
    for line in Path("/proc/self/uid_map").read_text().splitlines():
        start, _, length = map(int, line.split())
        if start <= _FIRST and start + length >= _FIRST + _COUNT:
            return _FIRST, _COUNT
    return _SMALL_FIRST, _SMALL_COUNT
