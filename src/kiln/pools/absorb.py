"""Merging upwards: a child takes in its parent's bytes and then stands on its grandparent.

Upwards only, since a parent may have other children. Off line the work is done
on a copy that replaces the child at the end, so that a kill loses nothing and
whoever reads the child goes on reading the old file, which is equal.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
from collections.abc import Mapping
from pathlib import Path

from kiln.ground.killpoints import reach
from kiln.ground.passphrases import Passphrase
from kiln.ground.units import MiB
from kiln.pools import chains, family, locks, luks, nodes, overlay, qemu_img, readers
from kiln.pools.errors import Cancelled, ToolFailed, VolumeBroken, VolumeBusy
from kiln.pools.folder import Folder, sync
from kiln.pools.guests import NO_KEYS, Guest
from kiln.pools.port import Cancel, Progress, never_cancelled

_FICLONE = 0x40049409  # <linux/fs.h>; Python's fcntl has it from 3.12 on.
_PIECE = 16 * MiB


def in_copy(
    folder: Folder,
    child: Path,
    base: str | None,
    kin: chains.Kin,
    keys: luks.Keys = luks.no_keys,
    *,
    direct: bool,
    cancelled: Cancel = never_cancelled,
) -> None:
    """Let *child*, which nobody writes, stand on the volume *base* (or on nothing). Whole or not at all.

    Raises VolumeBusy while somebody writes it, PoolFull, ToolFailed, Cancelled, and what ``chains.held`` raises.
    """
    began_with = child.stat().st_ino
    with locks.hold_still(child), folder.draft() as draft:
        with chains.held(child, kin, keys) as chain:
            if chain.passphrases[-1] is None and any(chain.passphrases):
                raise VolumeBroken(f"{child.stem} is not encrypted, and stands on what is")
            if base is None:
                # Rebasing on nothing reads all that is not there, too: 4 s for an empty disk of 20 GiB.
                _flatten(chain, child, draft, keys, direct=direct)
                reach("pool.absorb.flattened")
            elif any(chain.passphrases):
                _commit(folder, chain, child, draft)
                reach("pool.absorb.committed")
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
        sync(draft)  # Which may take long, and there is no way back after the next line.
        if cancelled():
            raise Cancelled("before it was published")
        with contextlib.nullcontext() if folder.claims is None else folder.claims.replacing():
            folder.replace(draft, child.name, is_synced=True)


def _flatten(chain: chains.Chain, child: Path, draft: Path, keys: luks.Keys, *, direct: bool) -> None:
    lock = overlay.read(child).lock
    if lock is None:
        qemu_img.convert(chain.node(), draft, "qcow2", options=overlay.OPTIONS, direct=direct, fds=chain.fds)
    else:
        lay_encrypted(chain, draft, lock.key, keys, size_bytes=overlay.read(child).size_bytes, direct=direct)


def lay_encrypted(
    chain: chains.Chain,
    draft: Path,
    key: str,
    keys: luks.Keys,
    *,
    size_bytes: int,
    direct: bool,
    from_disk: bool = False,
    progress: Progress | None = None,
    cancelled: Cancel | None = None,
) -> None:
    """Write what *chain* reads as, flattened and encrypted with *key*, into an empty draft.

    *from_disk* reads past the page cache. Raises VolumeLocked, and what ``qemu_img.convert`` raises.
    """
    overlay.write(draft, size_bytes, None, luks.forge(key, keys))
    passphrase = luks.open_lock(luks.require_lock(overlay.read(draft).lock), draft.stem, keys)
    qemu_img.convert_into(
        chain.node(direct=from_disk),
        {"driver": "qcow2", "file": {"driver": "file", "filename": str(draft.absolute())}}
        | nodes.encrypted(passphrase),
        direct=direct,
        fds=chain.fds,
        progress=progress,
        cancelled=cancelled,
    )


def _commit(folder: Folder, chain: chains.Chain, child: Path, draft: Path) -> None:
    """Make the draft what *child* is, standing on its grandparent, by writing what it holds into a copy of its parent.

    Of encrypted volumes: ``qemu-img rebase`` has no word in which it could be told the keys of what it compares with.
    """
    parent = child.with_name(chain.names[-2] + family.SUFFIX)
    with folder.draft() as above:
        # qemu-img opens what it commits to be written, which a layer must not be.
        copy_sparsely(child, above)
        copy_sparsely(parent, draft)
        reach("pool.absorb.copied")
        node = chain.below(2)
        for path, passphrase in ((draft, chain.passphrases[-2]), (above, chain.passphrases[-1])):
            file = {"driver": "file", "filename": str(path.absolute())}
            node = {"driver": "qcow2", "file": file, "backing": node} | nodes.encrypted(passphrase)
        assert node is not None  # The two have just been put on what is below.
        qemu_img.commit(node, fds=chain.fds)


def under_guest(guest: Guest, child: Path, base: str | None, passphrases: Mapping[str, Passphrase] = NO_KEYS) -> None:
    """Let *guest*, which writes *child*, copy its parent's bytes up while it runs.

    Raises ToolFailed when QEMU says that it is done but the header says otherwise.
    """
    reach("pool.absorb.before_stream")
    guest.stream(child.stem, base, None if base is None else base + family.SUFFIX, passphrases)
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
