"""Merging upwards: a child takes in its parent's bytes and then stands on its grandparent.

Upwards only, since a parent may have other children. Off line the work is done
on a copy that replaces the child at the end, so that a kill loses nothing and
whoever reads the child goes on reading the old file, which is equal.
"""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path

from kiln.ground.killpoints import reach
from kiln.ground.units import MiB
from kiln.pools import chains, family, locks, overlay, qemu_img, readers
from kiln.pools.errors import ToolFailed, VolumeBusy
from kiln.pools.folder import Folder, sync
from kiln.pools.guests import Guest

_FICLONE = 0x40049409  # <linux/fs.h>; Python's fcntl has it from 3.12 on.
_PIECE = 16 * MiB


def in_copy(folder: Folder, child: Path, base: str | None, kin: chains.Kin, *, direct: bool) -> None:
    """Let *child*, which nobody writes, stand on the volume *base* (or on nothing). Whole or not at all.

    Raises VolumeBusy while somebody writes it, PoolFull, ToolFailed, and what ``chains.held`` raises.
    """
    began_with = child.stat().st_ino
    with locks.hold_still(child), folder.draft() as draft:
        with chains.held(child, kin) as chain:
            if base is None:
                # Rebasing on nothing reads all that is not there, too: 4 s for an empty disk of 20 GiB.
                node = chain.node()
                qemu_img.convert(node, draft, "qcow2", options=overlay.OPTIONS, direct=direct, fds=chain.fds)
                reach("pool.absorb.flattened")
            else:
                copy_sparsely(child, draft)
                reach("pool.absorb.copied")
                if family.parent_of(draft) != chain.names[-2]:
                    raise ToolFailed(f"{child.stem} was written while it was copied")
                qemu_img.rebase(draft, base + family.SUFFIX, direct=direct)
                reach("pool.absorb.rebased")
        before = child.stat()
        if before.st_ino != began_with:
            # Somebody else has merged it meanwhile, and what the copy stands on may be gone.
            raise VolumeBusy(f"{child.stem} was replaced while it was copied")
        draft.chmod(before.st_mode)
        readers.copy(child, draft)
        if draft.stat().st_uid != before.st_uid:
            os.chown(draft, before.st_uid, -1)
        folder.publish([(draft, child.name)])


def under_guest(guest: Guest, child: Path, base: str | None) -> None:
    """Let *guest*, which writes *child*, copy its parent's bytes up while it runs.

    Raises ToolFailed when QEMU says that it is done but the header says otherwise.
    """
    reach("pool.absorb.before_stream")
    guest.stream(child.stem, base, None if base is None else base + family.SUFFIX)
    reach("pool.absorb.streamed")
    sync(child)
    if family.parent_of(child) != base:
        raise ToolFailed(f"{child.stem} was streamed but does not stand on {base or 'nothing'}")


def copy_sparsely(source: Path, target: Path) -> None:
    """Copy a file into an empty one, leaving holes as they are; in no time where the file system shares extents."""
    with source.open("rb") as src, target.open("r+b") as dst:
        try:
            fcntl.ioctl(dst.fileno(), _FICLONE, src.fileno())
        except OSError as error:
            if error.errno not in (errno.EOPNOTSUPP, errno.ENOTTY, errno.EXDEV, errno.EINVAL):
                raise
        else:
            return
        length = os.fstat(src.fileno()).st_size
        os.ftruncate(dst.fileno(), length)
        at = 0
        while (start := _next_data(src.fileno(), at)) is not None:
            at = end = os.lseek(src.fileno(), start, os.SEEK_HOLE)
            while start < end:
                start += os.copy_file_range(src.fileno(), dst.fileno(), min(end - start, _PIECE), start, start)


def _next_data(fd: int, at: int) -> int | None:
    """Where data begin at or after *at*; None when there are only holes left."""
    try:
        return os.lseek(fd, at, os.SEEK_DATA)
    except OSError as error:
        if error.errno == errno.ENXIO:
            return None
        raise
