"""The header of an empty qcow2 file: the only place in Kiln that writes one.

An overlay that holds nothing is a header, an empty L1 table and the refcounts
of both: 12 KiB on disk. Writing it here takes a tenth of the time of
``qemu-img create`` and, unlike that, never passes through a state that is valid
but names no backing file. Layout, in clusters of 128 KiB:

    0  header, backing format, backing file name
    1  refcount table (one entry)
    2  refcount block
    3  L1 table, all zero: one cluster for each 16 TiB
    4  of one that is encrypted: its LUKS header, 16 clusters of which two are no hole

Fields are those of ``qcow2_format``, version 3. What QEMU wrote into a volume
later is read here only as far as size and backing file name.
"""

from __future__ import annotations

import errno
import os
import stat
import struct
from pathlib import Path

from kiln.ground.values import dataclass
from kiln.pools import luks
from kiln.pools.errors import VolumeBroken, VolumeMissing
from kiln.pools.qcow2_format import (
    BACKING_NAME_MAX,
    COMPRESSION,
    CORRUPT,
    DIRTY,
    ENCRYPTED_BY_LUKS,
    EXTENDED_L2,
    EXTENSION,
    EXTENSION_BACKING_FORMAT,
    EXTENSION_ENCRYPTION,
    EXTENSION_END,
    HEADER,
    MAGIC,
)

#: Creation options with which qemu-img makes the same kind of file. Measured against the default
#: of 64 KiB clusters: first writes after a snapshot are 1.6 times as fast and grow the file 12 times less.
OPTIONS = "cluster_size=128k,extended_l2=on"

_VERSION = 3
_CLUSTER_BITS = 17
_CLUSTER = 1 << _CLUSTER_BITS
_L2_ENTRIES = _CLUSTER // 16  # Extended L2 entries have 16 bytes.
_L1_COVERS = _L2_ENTRIES * _CLUSTER  # 1 GiB for each L1 entry.
_REFCOUNT_ORDER = 4  # 16-bit refcounts, as QEMU's default.

# With 8 bytes of compression type and padding.
_HEADER = struct.Struct(HEADER.format + "8s")
_EXTENSIONS_MOST = 64 * 1024
_PLACE = struct.Struct(">QQ")  # Of a LUKS header in the file: where, and how long.
# Not DATA_FILE: the data are then in another file, whose name QEMU's tools would follow wherever it leads.
_KNOWN_FEATURES = DIRTY | CORRUPT | COMPRESSION | EXTENDED_L2


@dataclass(frozen=True)
class Header:
    """What a volume's header says: virtual size, and the backing file's name as it is written there."""

    size_bytes: int
    backing: str | None
    lock: luks.Lock | None = None  #: How it is encrypted; None: not at all.


def write(path: Path, size_bytes: int, backing: str | None, lock: bytes = b"") -> None:
    """Fill the empty file *path* so that it reads as *backing*, or as zeros when that is None.

    *size_bytes* is a multiple of 512; *backing* names a qcow2 file relative to
    the folder of *path*. *lock* is the LUKS header of one that is to be encrypted.
    Nothing is synced. Raises OSError.
    """
    name = (backing or "").encode()
    if size_bytes <= 0 or size_bytes % 512:
        raise ValueError(f"no volume can have {size_bytes} bytes")
    if len(name) > BACKING_NAME_MAX:
        raise ValueError("the backing file's name is too long")
    l1_entries = -(-size_bytes // _L1_COVERS)
    clusters = lock_at = 3 + -(-l1_entries * 8 // _CLUSTER)
    extensions = (
        struct.pack(EXTENSION.format + "8s", EXTENSION_BACKING_FORMAT, len(b"qcow2"), b"qcow2") if backing else b""
    )
    if lock:
        clusters += -(-luks.LENGTH // _CLUSTER)
        extensions += EXTENSION.pack(EXTENSION_ENCRYPTION, _PLACE.size) + _PLACE.pack(lock_at * _CLUSTER, luks.LENGTH)
    extensions += EXTENSION.pack(EXTENSION_END, 0)
    name_offset = _HEADER.size + len(extensions) if backing else 0
    header = _HEADER.pack(
        *(MAGIC, _VERSION, name_offset, len(name), _CLUSTER_BITS, size_bytes),
        *(ENCRYPTED_BY_LUKS if lock else 0, l1_entries, 3 * _CLUSTER),
        *(_CLUSTER, 1, 0, 0, EXTENDED_L2, 0, 0, _REFCOUNT_ORDER, _HEADER.size, b""),
    )
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.pwrite(fd, header + extensions + name, 0)
        os.pwrite(fd, struct.pack(">Q", 2 * _CLUSTER), _CLUSTER)
        os.pwrite(fd, b"\0\1" * clusters, 2 * _CLUSTER)
        os.pwrite(fd, lock, lock_at * _CLUSTER)
        os.ftruncate(fd, clusters * _CLUSTER)
    finally:
        os.close(fd)


def read(path: Path) -> Header:
    """The header of a volume, whoever wrote it last. Raises VolumeMissing, VolumeBroken."""
    try:
        # Without O_NONBLOCK a named pipe would hold the caller until somebody writes.
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise VolumeMissing(path.stem) from None
    except OSError as error:
        if error.errno != errno.ENXIO:
            raise
        raise VolumeBroken(f"{path.stem} is not a regular file") from None
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise VolumeBroken(f"{path.stem} is not a regular file")
        name_offset, name_length, size_bytes, length, is_encrypted = _fields(path, os.pread(fd, _HEADER.size, 0))
        if name_offset == 0 and not is_encrypted:
            return Header(size_bytes, None)
        extensions = os.pread(fd, _EXTENSIONS_MOST, length)
        lock = _lock(fd, path, extensions) if is_encrypted else None
        if name_offset == 0:
            return Header(size_bytes, None, lock)
        name = os.pread(fd, min(name_length, BACKING_NAME_MAX), name_offset)
        if _extension(extensions, EXTENSION_BACKING_FORMAT) not in (None, b"qcow2"):
            raise VolumeBroken(f"{path.stem} reads what it stands on as something else than a volume")
    finally:
        os.close(fd)
    try:
        return Header(size_bytes, name.decode("ascii"), lock)
    except UnicodeDecodeError:
        raise VolumeBroken(f"{path.stem} names its backing file in unreadable bytes") from None


def _fields(path: Path, head: bytes) -> tuple[int, int, int, int, bool]:
    """Where the backing name is, its length, the virtual size, where the extensions begin, and whether it is encrypted.

    Raises VolumeBroken.
    """
    if len(head) < HEADER.size:
        raise VolumeBroken(f"{path.stem} is shorter than a header")
    fields = _HEADER.unpack(head.ljust(_HEADER.size, b"\0"))
    magic, version, name_offset, name_length, _, size_bytes, encryption, *_ = fields
    if magic != MAGIC or version != _VERSION:
        raise VolumeBroken(f"{path.stem} does not begin as a qcow2 file of version 3")
    if size_bytes == 0 or size_bytes % 512:
        raise VolumeBroken(f"{path.stem} cannot have {size_bytes} bytes")
    if encryption not in (0, ENCRYPTED_BY_LUKS) or fields[13] & ~_KNOWN_FEATURES:
        raise VolumeBroken(f"{path.stem} keeps its data in a way that no volume does")
    return name_offset, name_length, size_bytes, fields[17], bool(encryption)


def _lock(fd: int, path: Path, extensions: bytes) -> luks.Lock:
    """How the file is encrypted. Raises VolumeBroken."""
    place = _extension(extensions, EXTENSION_ENCRYPTION) or b""
    if len(place) != _PLACE.size:
        raise VolumeBroken(f"{path.stem} does not say where its key is")
    at, _ = _PLACE.unpack(place)
    if at > os.fstat(fd).st_size:
        raise VolumeBroken(f"{path.stem} is encrypted, and its key is cut off")
    return luks.read(os.pread(fd, luks.HEADER_BYTES, at), path.stem)


def _extension(extensions: bytes, wanted: int) -> bytes | None:
    """What the header's extensions, as far as they are there, hold of that kind."""
    at = 0
    while at + EXTENSION.size <= len(extensions):
        kind, length = EXTENSION.unpack_from(extensions, at)
        at += EXTENSION.size
        if kind == EXTENSION_END:
            break
        if kind == wanted:
            return extensions[at : at + length]
        at += -(-length // 8) * 8
    return None
