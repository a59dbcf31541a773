"""Bytes that enter a pool from outside, and bytes that leave it.

What enters was judged by ``inspection`` before; here QEMU's tools read the very
same open file, within limits, by the format that was found and with every way
to other files closed. Some of these ways only the judge can close (a qcow2
file's data file, a VMDK's extents: their drivers take no word against them), so
nothing is kept of a file that was written since it was judged. What leaves is
flattened and stands alone.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from kiln.ground.killpoints import reach
from kiln.ground.units import GiB, MiB
from kiln.ground.values import dataclass
from kiln.pools import absorb, chains, luks, overlay, qemu_img, readers, stamps
from kiln.pools.errors import Cancelled, PoolFull, SourceRefused, ToolFailed
from kiln.pools.folder import Folder, sync
from kiln.pools.limits import Limits
from kiln.pools.port import Cancel, Progress, Source, TargetFormat

_LOOK = Limits(memory_bytes=1 * GiB, cpu_s=300)  # For reading where a foreign image's data lie.
_READ_AT_ONCE = 1 * MiB
_LOOKS = 16
# What qemu-img says when it has read bytes that no disk has, and what it says of the machine that it runs on.
_SENSELESS = re.compile(r"error while reading|Could not open|Could not read")
_OURS = re.compile(
    r"Cannot allocate memory|Permission denied|Operation not permitted|No such file|Too many open files|"
    r"Resource temporarily unavailable|lock|Unknown driver|Unknown protocol"
)
_COPY_MEMORY = 2 * GiB
_COPY_CPU_S = 600
_COPY_CPU_S_FOR_GIB = 60  # zlib at its slowest takes a third of this.

#: How each target is made. VHD's size is exact only with force_size: else it is rounded to a geometry of 1990.
TARGET_OPTIONS: dict[TargetFormat, str] = {
    "raw": "",
    "qcow2": "",
    "vpc": "subformat=dynamic,force_size=on",
    "vmdk": "subformat=monolithicSparse",
    "vdi": "",
}


def bring_in(
    folder: Folder, name: str, file: BinaryIO, source: Source, *, direct: bool, progress: Progress, cancelled: Cancel
) -> None:
    """Make the layer file *name* of an inspected file's bytes. Whole or not at all.

    Raises SourceRefused when the file turns out damaged on the way or is not
    what was inspected, SourceTouched when it may be, PoolFull (before anything
    is written, if the file says how much it will take), Cancelled.
    """
    fd = file.fileno()
    node = foreign(fd, source)
    with folder.draft() as draft:
        with reading(fd, source):
            _require_room(folder, measured(node, fd))
            reach("pool.bring_in.before_copy")
            qemu_img.convert(
                node,
                draft,
                "qcow2",
                options=overlay.OPTIONS,
                direct=direct,
                limits=copying_limits(source),
                fds=(fd,),
                progress=progress,
                cancelled=cancelled,
            )
            reach("pool.bring_in.copied")
        if overlay.read(draft).size_bytes != source.virtual_size:
            raise SourceRefused("The image has another size than its headers say.")
        draft.chmod(readers.LAYER_MODE)
        sync(draft)  # Which may take long, and there is no way back after the next line.
        if cancelled():
            raise Cancelled("before it was published")
        folder.publish([(draft, name)], synced=[draft])


@dataclass(frozen=True, kw_only=True)
class Copying:
    """How what a layer reads as is copied: what else must be so of its chain, and whom it is told."""

    kin: chains.Kin
    keys: luks.Keys
    direct: bool  #: Whether the pool's file system can be read past the page cache.
    progress: Progress
    cancelled: Cancel


def encrypt(folder: Folder, name: str, layer: Path, key: str, how: Copying) -> None:
    """Make the layer file *name* of what *layer* reads as, encrypted with *key*. Whole or not at all.

    Raises PoolFull (before anything is written, where that is known), Cancelled, and what ``chains.held`` raises.
    """
    with folder.draft() as draft:
        with chains.held(layer, how.kin, how.keys) as chain:
            _require_room(folder, qemu_img.measure(chain.node(), options=overlay.OPTIONS, fds=chain.fds))
            reach("pool.encrypt.before_copy")
            absorb.lay_encrypted(
                chain,
                draft,
                key,
                how.keys,
                size_bytes=overlay.read(layer).size_bytes,
                direct=how.direct,
                from_disk=how.direct and not _is_cached(layer),
                progress=how.progress,
                cancelled=how.cancelled,
            )
            reach("pool.encrypt.copied")
        draft.chmod(readers.LAYER_MODE)
        sync(draft)  # As of what is brought in: there is no way back after the next line.
        if how.cancelled():
            raise Cancelled("before it was published")
        folder.publish([(draft, name)], synced=[draft])


def send_out(layer: Path, path: Path, target: TargetFormat, how: Copying) -> None:
    """Write what *layer* reads as to the file *path*. Whole or not at all; a crash leaves a ``.tmp-`` file beside it.

    ``direct`` allows to read past the page cache, which takes half the time for
    layers that are not in it, and pushes nothing of guests' out of it; one that
    is in it is read from there. The target is written through it: past it, files
    grow by whole blocks of the disk below, and a VHD's footer must be the very
    end. It is synced once, when it is whole. Raises PoolFull, Cancelled, and what ``chains.held`` raises.
    """
    folder = Folder(path.parent)
    with folder.draft() as draft:
        reach("pool.send_out.before_copy")
        with chains.held(layer, how.kin, how.keys) as chain:
            qemu_img.convert(
                chain.node(direct=how.direct and not _is_cached(layer)),
                draft,
                target,
                options=TARGET_OPTIONS[target],
                fds=chain.fds,
                progress=how.progress,
                cancelled=how.cancelled,
            )
        reach("pool.send_out.copied")
        folder.replace(draft, path.name)


def _is_cached(layer: Path) -> bool:
    """Whether most of the file's data are in the page cache, by a few looks that never wait for the disk."""
    cached = looked = 0
    with layer.open("rb") as file:
        length = os.fstat(file.fileno()).st_size
        # A look at an absent page has the kernel read it; without this, the pages of the next looks too.
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_RANDOM)
        for n in range(_LOOKS):
            try:
                at = os.lseek(file.fileno(), length * n // _LOOKS, os.SEEK_DATA)
                looked += 1
                cached += os.preadv(file.fileno(), [bytearray(1)], at, os.RWF_NOWAIT)
            except BlockingIOError:
                continue
            except OSError as error:
                if error.errno == errno.ENXIO:
                    break  # No data behind this place.
                return False  # A file system that can't tell.
    return cached * 2 > looked


@contextlib.contextmanager
def reading(fd: int, source: Source) -> Iterator[None]:
    """Say of a body that reads the file what it means for the file when a tool fails or the file changes."""
    with stamps.held(fd, source.stamp):
        try:
            yield
        except ToolFailed as error:
            if not _is_of_the_bytes(error) or not _can_be_read(fd):
                raise
            raise SourceRefused("The image is damaged: its data could not be read to the end.") from error


def _is_of_the_bytes(error: ToolFailed) -> bool:
    """Whether qemu-img, by its own words, could not make sense of what it read; nothing else blames the file."""
    return error.status == 1 and _SENSELESS.search(str(error)) is not None and not _OURS.search(str(error))


def _can_be_read(fd: int) -> bool:
    """Whether the disk gives every byte of the file: what qemu-img calls an error of reading may be the disk's."""
    length, at = os.fstat(fd).st_size, 0
    try:
        while at < length:
            at = os.lseek(fd, at, os.SEEK_DATA)
            at += len(os.pread(fd, _READ_AT_ONCE, at)) or length
    except OSError as error:
        return error.errno == errno.ENXIO  # No data behind this place.
    return True


def copying_limits(source: Source, *, addresses: bool = True) -> Limits:
    """What it may take to copy an inspected file; *addresses* says whether its memory is bounded by them."""
    seconds = _COPY_CPU_S + _COPY_CPU_S_FOR_GIB * (source.virtual_size // GiB)
    return Limits(_COPY_MEMORY if addresses else None, seconds)


def measured(node: qemu_img.Node, fd: int) -> int:
    """How many bytes the file may take in a pool: a small one may unpack to any amount of data."""
    return qemu_img.measure(node, options=overlay.OPTIONS, limits=_LOOK, fds=(fd,))


def _require_room(folder: Folder, needed: int) -> None:
    room = os.statvfs(folder.path)
    free = room.f_bavail * room.f_frsize
    if needed > free:
        raise PoolFull(f"the image may take {needed} bytes, but {free} are free", needed - free)


def foreign(fd: int, source: Source) -> qemu_img.Node:
    """The block node of an inspected file, by the format that was found, with every way to other files closed."""
    node: dict[str, Any] = {"driver": source.format, "read-only": True, "file": qemu_img.held_open(fd)}
    if source.format in ("qcow2", "vmdk"):
        node["backing"] = None
    if source.format == "vpc":
        # Without this QEMU believes the geometry of some writers and cuts the disk's end off.
        node["force_size_calc"] = "current_size"
    return node
