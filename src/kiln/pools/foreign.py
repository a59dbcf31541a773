"""What Kiln demands of disk images that others made, format by format.

QEMU's drivers believe much of what a file says about itself: other files to
open, sizes, tables. Here every such claim is either impossible to make or held
against the length of the file, before a driver sees it. Only the structures that
name things, or say where they lie, are read, never the data. Facts are from QEMU's ``docs/interop`` and
from the published specifications of VHD and VMDK. Imports nothing of Kiln's but
sizes, so that it can run alone in a walled process.
"""

from __future__ import annotations

import array
import os
import re
import struct
import sys
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from kiln.declare.units import GiB, MiB

SECTOR = 512
VIRTUAL_MAX = 32 * 1024 * GiB  # The largest disk of ECS.


class Refused(Exception):
    """``str(error)`` is one sentence for the person who sent the file."""


@dataclass(frozen=True)
class File:
    """An open file of known length."""

    fd: int
    length: int

    def read(self, offset: int, count: int) -> bytes:
        """Exactly *count* bytes. Raises Refused where the file has fewer."""
        if offset < 0 or offset + count > self.length:
            raise Refused("The file is cut short.")
        data = b""
        while len(data) < count:
            piece = os.pread(self.fd, count - len(data), offset + len(data))
            if not piece:
                raise Refused("The file is cut short.")
            data += piece
        return data

    def holds(self, offset: int, count: int) -> bool:
        """Whether the file has *count* bytes at *offset*."""
        return offset >= 0 and offset + count <= self.length


def raw_size(file: File) -> int:
    """Virtual size of a raw file: its length in whole sectors."""
    return _sane_size(-(-file.length // SECTOR) * SECTOR)


_QCOW2 = struct.Struct(">4sIQIIQIIQQIIQ")
_QCOW2_FEATURES = struct.Struct(">QQQII")
_DIRTY, _CORRUPT, _DATA_FILE, _COMPRESSION, _EXTENDED_L2 = (1 << bit for bit in range(5))
_EXTENSION_END = 0
_EXTENSION_DATA_FILE = 0x44415441
_EXTENSION_ENCRYPTION = 0x0537BE77
_REFCOUNT_TABLE_MAX = 8 * MiB  # QEMU's own limits.
_L1_MAX = 32 * MiB
_CLUSTER_MAX = 2 * MiB


def qcow2_size(file: File) -> int:
    """Virtual size of a qcow2 file that stands alone. Raises Refused."""
    (_, version, backing_offset, backing_length, cluster_bits, size, encryption, *tables) = _QCOW2.unpack(
        file.read(0, _QCOW2.size)
    )
    l1_entries, l1_offset, refcounts_offset, refcounts_clusters, snapshots, _ = tables
    if version not in (2, 3):
        raise Refused(f"Version {version} of QCOW2 is not supported.")
    if backing_offset or backing_length:
        raise Refused("The image depends on a backing file; flatten it first.")
    if encryption:
        raise Refused("The image is encrypted.")
    if snapshots:
        raise Refused("The image contains internal snapshots; remove or flatten them first.")
    if not 9 <= cluster_bits <= 21:  # noqa: PLR2004 - the format's own bounds.
        raise Refused("The image is damaged: its cluster size is impossible.")
    features = _qcow2_features(file) if version == 3 else 0  # noqa: PLR2004
    cluster = 1 << cluster_bits
    l2_entry_bytes = 16 if features & _EXTENDED_L2 else 8
    covered = cluster // l2_entry_bytes * cluster
    if l1_entries < -(-size // covered) or l1_entries * 8 > _L1_MAX:
        raise Refused("The image is damaged: its table of clusters does not fit its size.")
    if l1_offset % cluster or not file.holds(l1_offset, l1_entries * 8):
        raise Refused("The image is damaged: its table of clusters lies outside the file.")
    refcounts_bytes = refcounts_clusters * cluster
    if refcounts_bytes > _REFCOUNT_TABLE_MAX:
        raise Refused("The image is damaged: its reference counts are impossible.")
    if refcounts_offset % cluster or not file.holds(refcounts_offset, min(refcounts_bytes, SECTOR)):
        raise Refused("The image is damaged: its reference counts lie outside the file.")
    layout = _Layout(_sane_size(size), cluster_bits, l2_entry_bytes, l1_offset, l1_entries, not features & _COMPRESSION)
    _check_qcow2_end(file, layout)
    return layout.size


def _qcow2_features(file: File) -> int:
    """The incompatible features of a version 3 header, none of which reach outside the file."""
    incompatible, _, _, _, header_length = _QCOW2_FEATURES.unpack(file.read(_QCOW2.size, _QCOW2_FEATURES.size))
    if incompatible & _DATA_FILE:
        raise Refused("The image keeps its data in another file; flatten it first.")
    if incompatible & _CORRUPT:
        raise Refused("The image is marked as corrupt; repair it first.")
    if incompatible & ~(_DIRTY | _COMPRESSION | _EXTENDED_L2):
        raise Refused("The image uses features of QCOW2 that are not known here.")
    at = header_length
    while _QCOW2.size + _QCOW2_FEATURES.size <= at <= _CLUSTER_MAX:
        kind, length = struct.unpack(">II", file.read(at, 8))
        if kind == _EXTENSION_END:
            return int(incompatible)
        if kind == _EXTENSION_DATA_FILE:
            raise Refused("The image keeps its data in another file; flatten it first.")
        if kind == _EXTENSION_ENCRYPTION:
            raise Refused("The image is encrypted.")
        at += 8 + -(-length // 8) * 8
    raise Refused("The image is damaged: its header has no end.")


_OFFSET = 0x00FFFFFFFFFFFE00  # Of a table of clusters, and of a cluster.
_COPIED, _COMPRESSED = 1 << 63, 1 << 62
_IS_COMPRESSED = bytes(byte >> 6 & 1 for byte in range(256))  # By an entry's first byte.
_SUBCLUSTERS = 32


@dataclass(frozen=True)
class _Layout:
    """Where a qcow2 file says its clusters are. Offsets and sizes are in bytes."""

    size: int
    cluster_bits: int
    entry_bytes: int  #: 8, or 16 with subclusters.
    l1_offset: int
    l1_entries: int
    is_deflated: bool  #: Whether compressed clusters are, rather than packed by zstd.


def _check_qcow2_end(file: File, layout: _Layout) -> None:
    """Refuse a file that ends before its data do.

    ``qemu-img check`` finds what lies a whole cluster or more behind the end,
    but lets the last cluster be a part. It may: behind the end of the disk, and
    in subclusters that hold nothing. Each of 1,900 files that qemu-img and
    qemu-io 7.2 wrote in every which way held its tables of clusters, and the
    rest of the last cluster, in full.
    """
    cluster = 1 << layout.cluster_bits
    entries = cluster // layout.entry_bytes
    last = file.length & -cluster
    for number, entry in enumerate(_big_endian("Q", file.read(layout.l1_offset, layout.l1_entries * 8))):
        if entry & _OFFSET == 0:
            continue
        table = file.read(entry & _OFFSET, cluster)
        for index in _entries_at(last, table, layout):
            left = layout.size - (number * entries + index) * cluster
            if last + min(_used(table, index, layout), left) > file.length:
                raise Refused("The file is cut short: part of its last cluster is missing.")
        if _is_packed_behind(file, table, layout):
            raise Refused("The file is cut short: its last compressed clusters are missing.")


def _entries_at(offset: int, table: bytes, layout: _Layout) -> Iterator[int]:
    """The entries of a table that put data at *offset*; searched for as bytes, since tables of 2 TiB have 256 MiB."""
    for wanted in (offset, offset | _COPIED):
        at = table.find(wanted.to_bytes(8, "big")) if offset else -1
        while at >= 0:
            if at % layout.entry_bytes == 0:
                yield at // layout.entry_bytes
            at = table.find(wanted.to_bytes(8, "big"), at + 1)


def _used(table: bytes, index: int, layout: _Layout) -> int:
    """How many bytes of its cluster an entry uses, up to the last one that holds something."""
    if layout.entry_bytes == 8:  # noqa: PLR2004 - see the field.
        return 1 << layout.cluster_bits
    (subclusters,) = struct.unpack_from(">I", table, index * 16 + 12)
    return int(subclusters).bit_length() * (1 << layout.cluster_bits) // _SUBCLUSTERS


def _is_packed_behind(file: File, table: bytes, layout: _Layout) -> bool:
    """Whether a compressed cluster goes on behind the end of the file. Its last sector need not be whole."""
    if 1 not in table[:: layout.entry_bytes].translate(_IS_COMPRESSED):
        return False
    offset_bits = 62 - (layout.cluster_bits - 8)
    offset, sectors = (1 << offset_bits) - 1, (1 << 62 - offset_bits) - 1
    for entry in _big_endian("Q", table)[:: layout.entry_bytes // 8]:
        if entry & _COMPRESSED:
            last_sector = ((entry & offset) // SECTOR + (entry >> offset_bits & sectors)) * SECTOR
            if last_sector >= file.length:
                return True
            if last_sector + SECTOR > file.length and not _is_unpacked(file, entry & offset, layout):
                return True
    return False


def _is_unpacked(file: File, offset: int, layout: _Layout) -> bool:
    """Whether the bytes up to the end of the file unpack to a whole cluster; taken for granted of zstd.

    QEMU would put zeros in the place of what is missing, and deflate makes something of them without complaint.
    """
    if not layout.is_deflated:
        return True
    cluster = 1 << layout.cluster_bits
    try:
        return (
            len(zlib.decompressobj(-zlib.MAX_WBITS).decompress(file.read(offset, file.length - offset), cluster))
            == cluster
        )
    except zlib.error:
        return False


def _big_endian(kind: str, data: bytes) -> array.array[int]:
    words = array.array(kind, data)
    if sys.byteorder == "little":
        words.byteswap()
    return words


VHD_COOKIE = b"conectix"
_VHD_FOOTER = struct.Struct(">8sII Q I4sI4s QQ I II")  # up to and with the checksum
_VHD_DYNAMIC_HEADER = struct.Struct(">8sQQIIII")
_VHD_DYNAMIC_HEADER_BYTES = 1024
_VHD_FIXED, _VHD_DYNAMIC, _VHD_DIFFERENCING = 2, 3, 4
_VHD_UNUSED = 0xFFFFFFFF
_VHD_TABLE_MAX = 64 * MiB


def vhd_size(file: File) -> int:
    """Virtual size of a fixed or dynamic VHD that stands alone. Raises Refused."""
    if not file.holds(0, 2 * SECTOR) or file.length % SECTOR:
        raise Refused("The file is cut short.")
    footer = file.read(file.length - SECTOR, SECTOR)
    if not footer.startswith(VHD_COOKIE):
        raise Refused("The file is cut short: a VHD ends with a footer, and this one does not.")
    *_, table_offset, _, _, _, _, _, size, _, kind, checksum = _VHD_FOOTER.unpack(footer[: _VHD_FOOTER.size])
    if checksum != _vhd_checksum(footer, _VHD_FOOTER.size - 4):
        raise Refused("The image is damaged: the checksum of its footer is wrong.")
    if kind == _VHD_DIFFERENCING:
        raise Refused("The image depends on a parent VHD; merge it first.")
    if kind == _VHD_FIXED:
        if file.read(0, len(VHD_COOKIE)) == VHD_COOKIE:
            raise Refused("The image is damaged: it says that it is both a fixed and a dynamic VHD.")
        if size + SECTOR != file.length:
            raise Refused("The image is damaged: its size is not the one that its footer gives.")
        return _sane_size(size)
    if kind != _VHD_DYNAMIC:
        raise Refused("Only fixed and dynamic VHDs are supported.")
    if file.read(0, SECTOR) != footer:
        raise Refused("The image is damaged: its footer and the copy of it differ.")
    _check_vhd_blocks(file, table_offset, size)
    return _sane_size(size)


def _check_vhd_blocks(file: File, header_offset: int, size: int) -> None:
    header = file.read(header_offset, _VHD_DYNAMIC_HEADER_BYTES)
    cookie, _, table_offset, _, entries, block, checksum = _VHD_DYNAMIC_HEADER.unpack(
        header[: _VHD_DYNAMIC_HEADER.size]
    )
    if cookie != b"cxsparse" or checksum != _vhd_checksum(header, _VHD_DYNAMIC_HEADER.size - 4):
        raise Refused("The image is damaged: the checksum of its header is wrong.")
    if block < SECTOR or block & (block - 1) or entries * block < size:
        raise Refused("The image is damaged: its blocks do not fit its size.")
    if entries * 4 > _VHD_TABLE_MAX:
        raise Refused("The image is damaged: its table of blocks is impossible.")
    table = _big_endian("I", file.read(table_offset, entries * 4))
    last = max((at for at in table if at != _VHD_UNUSED), default=None)
    bitmap = -(-block // SECTOR // 8 // SECTOR) * SECTOR
    if last is not None and not file.holds(last * SECTOR, bitmap + block):
        raise Refused("The file is cut short: its last block is missing.")


def _vhd_checksum(structure: bytes, field_offset: int) -> int:
    """The ones' complement of the sum of all bytes but the checksum's own four."""
    total = sum(structure) - sum(structure[field_offset : field_offset + 4])
    return ~total & 0xFFFFFFFF


VMDK_MAGIC = b"KDMV"
_VMDK = struct.Struct("<4sIIQQQQIQQ")
_VMDK_GRAINS_AT_END = 0xFFFFFFFFFFFFFFFF
_VMDK_COMPRESSION_OFFSET = 77
_VMDK_ZERO_GRAIN = 1  # Entries up to it stand for no place.
_VMDK_DESCRIPTOR_OFFSET = 512
_VMDK_DESCRIPTOR_MAX = 20 * SECTOR  # QEMU looks for a parent's name this far, whatever the header says.
_VMDK_PARENT = re.compile(rb"parentfilenamehint", re.IGNORECASE)
_VMDK_PARENT_ID = re.compile(rb"^[ \t]*parentCID[ \t]*=[ \t]*(\S+)", re.IGNORECASE | re.MULTILINE)
_VMDK_EXTENT = re.compile(
    rb'^[ \t]*(?:RW|RDONLY|NOACCESS)[ \t]+(\d+)[ \t]+(\w+)(?:[ \t]+"([^"\n]*)")?', re.IGNORECASE | re.MULTILINE
)
_VMDK_TYPE = re.compile(rb'^[ \t]*createType[ \t]*=[ \t]*"([^"\n]*)"', re.IGNORECASE | re.MULTILINE)


def vmdk_size(file: File) -> int:
    """Virtual size of a VMDK that is one sparse file. Raises Refused."""
    if file.read(0, len(VMDK_MAGIC)) != VMDK_MAGIC:
        raise Refused("The file is only the description of a VMDK; send one that is a single sparse file.")
    header = _VMDK.unpack(file.read(0, _VMDK.size))
    if header[-1] == _VMDK_GRAINS_AT_END:
        # The footer is what counts in a stream; QEMU believes all of it.
        footer = _VMDK.unpack(file.read(file.length - 2 * SECTOR, _VMDK.size))
        if footer[:-2] != header[:-2]:
            raise Refused("The image is damaged: its header and its footer differ.")
        header = footer
    _, version, _, sectors, grain, descriptor_at, descriptor_sectors, entries, _, directory_at = header
    if version not in (1, 2, 3):
        raise Refused(f"Version {version} of VMDK is not supported.")
    size = _sane_size(sectors * SECTOR)
    if not 1 <= grain <= 128 or grain & (grain - 1) or not 1 <= entries <= 512:  # noqa: PLR2004 - QEMU's own bounds.
        raise Refused("The image is damaged: its grains are impossible.")
    tables = -(-sectors // (grain * entries))
    if not file.holds(directory_at * SECTOR, tables * 4):
        raise Refused("The image is damaged: its table of grains lies outside the file.")
    if descriptor_at * SECTOR != _VMDK_DESCRIPTOR_OFFSET:
        raise Refused("The image is damaged: its description is not where it belongs.")
    _check_vmdk_descriptor(file, descriptor_sectors, sectors)
    if not struct.unpack("<H", file.read(_VMDK_COMPRESSION_OFFSET, 2))[0]:
        _check_vmdk_grains(file, directory_at * SECTOR, sectors, grain, entries)
    return size


def _check_vmdk_grains(file: File, directory: int, sectors: int, grain: int, entries: int) -> None:
    """Refuse a file whose last grain is not all there; QEMU looks only where it begins, and reads zeros behind the end.

    Grains that are compressed need no look: what is missing of one makes its checksum wrong. *directory* is in bytes,
    *sectors* and *grain* are in sectors.
    """
    tables = -(-sectors // (grain * entries))
    for number, at in enumerate(_little_endian("I", file.read(directory, tables * 4))):
        if at == 0:
            continue
        table = _little_endian("I", file.read(at * SECTOR, entries * 4))
        last = max(table)
        left = sectors - (number * entries + table.index(last)) * grain
        if last > _VMDK_ZERO_GRAIN and not file.holds(last * SECTOR, max(0, min(grain, left)) * SECTOR):
            raise Refused("The file is cut short: its last grain is missing.")


def _little_endian(kind: str, data: bytes) -> array.array[int]:
    words = array.array(kind, data)
    if sys.byteorder == "big":
        words.byteswap()
    return words


def _check_vmdk_descriptor(file: File, descriptor_sectors: int, sectors: int) -> None:
    length = max(min(descriptor_sectors * SECTOR, MiB), _VMDK_DESCRIPTOR_MAX)
    described = file.read(_VMDK_DESCRIPTOR_OFFSET, min(length, file.length - _VMDK_DESCRIPTOR_OFFSET))
    parent_ids = [value.lower() for value in _VMDK_PARENT_ID.findall(described)]
    if _VMDK_PARENT.search(described) or parent_ids != [b"ffffffff"]:
        raise Refused("The image depends on a parent VMDK; consolidate it first.")
    types = [value.lower() for value in _VMDK_TYPE.findall(described)]
    if types not in ([b"monolithicsparse"], [b"streamoptimized"]):
        raise Refused("Only VMDKs of type monolithicSparse and streamOptimized are supported.")
    extents = _VMDK_EXTENT.findall(described)
    if len(extents) != 1:
        raise Refused("The image is spread over several files; send one that is a single sparse file.")
    count, kind, name = extents[0]
    if kind.upper() != b"SPARSE" or b"/" in name or b"\\" in name:
        raise Refused("The image keeps its data in another file; send one that is a single sparse file.")
    if int(count) != sectors:
        raise Refused("The image is damaged: its description gives another size than its header.")


def _sane_size(size: int) -> int:
    if size <= 0 or size % SECTOR:
        raise Refused(f"The image is damaged: no disk can have {size} bytes.")
    if size > VIRTUAL_MAX:
        raise Refused("The disk is larger than 32 TiB.")
    return size
