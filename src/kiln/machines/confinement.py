"""Who a machine runs as when Kiln is root: a user of its own, that nothing else is run as.

Files are handed to that user by the pool (``grant``); whether it can
reach them at all is looked at before a machine starts, since QEMU opens its
files again later, in the middle of a snapshot.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from pathlib import Path

from kiln.ground.short_files import read_short
from kiln.machines import users
from kiln.machines.errors import MachineRefused
from kiln.machines.port import Drive
from kiln.machines.runfolder import RunFolder

_KVM = Path("/dev/kvm")
_OTHERS_MAY_USE = stat.S_IROTH | stat.S_IWOTH
_GROUP_MAY_USE = stat.S_IRGRP | stat.S_IWGRP


def uid_of(folder: RunFolder, *, runs: bool) -> int | None:
    """The user of the folder's machine; None when Kiln is not root and cannot change users.

    It is the same for good, but where another Kiln has come to use it meanwhile
    (a copied data folder, two that were made before they shared out the
    numbers): then a machine that does not run gets another. Raises MachineRefused.
    """
    if os.geteuid() != 0:
        return None
    with folder.held():
        try:
            uid = int(read_short(folder.uid_file))
        except (FileNotFoundError, ValueError):
            uid = 0
        if uid and (runs or users.is_own(folder.path.parent, uid)):
            return uid
        uid = users.next_user(folder.path.parent)
        draft = folder.uid_file.with_suffix(".new")
        draft.write_text(str(uid))
        draft.replace(folder.uid_file)
        return uid


def require_reachable(drives: Iterable[Drive], uid: int) -> None:
    """Raise MachineRefused when the user cannot come to a file of the drives through the folders above it."""
    folder = closed_folder({parent for drive in drives for path in drive.files for parent in path.parents}, uid)
    if folder is not None:
        raise MachineRefused(
            f"A machine's own user cannot reach its disks through {folder}: "
            f"allow passing through it (chmod o+x {folder}) or keep Kiln's data elsewhere."
        )


def closed_folder(folders: Iterable[Path], uid: int) -> Path | None:
    """The first of the folders that are there through which the user cannot pass."""
    for folder in sorted(folders):
        try:
            about = folder.stat()
        except FileNotFoundError:
            continue  # QEMU will say so, and better.
        can_pass = stat.S_IXUSR if about.st_uid == uid else stat.S_IXOTH
        if not about.st_mode & can_pass:
            return folder
    return None


def kvm_groups() -> list[int] | None:
    """The groups that let any user open /dev/kvm; None when no group of harmless power does."""
    try:
        about = _KVM.stat()
    except FileNotFoundError:
        return None
    if about.st_mode & _OTHERS_MAY_USE == _OTHERS_MAY_USE:
        return []
    return [about.st_gid] if about.st_mode & _GROUP_MAY_USE == _GROUP_MAY_USE and about.st_gid != 0 else None
