"""What Kiln demands of a QCOW2 file.

Its reference counts are not looked at: they say what a writer may overwrite, and
nobody writes here. So a file that was left with wrong ones, as a crash leaves
one with lazy_refcounts, is taken, since every read of it is right. What its
tables of clusters say is held against everything else.
"""

from __future__ import annotations

import array
import functools
import operator
import struct
import zlib
from collections.abc import Iterator

from kiln.ground.values import dataclass
from kiln.pools.extents import SECTOR, Extents, in_order, sectors
from kiln.pools.foreign import File, Refused, big_endian, sane_size
from kiln.pools.qcow2_format import (
    CLUSTER_BITS_LEAST,
    CLUSTER_BITS_MOST,
    COMPRESSED,
    COMPRESSION,
    COMPRESSION_TYPE,
    COPIED,
    CORRUPT,
    DATA_FILE,
    DIRTY,
    EXTENDED_L2,
    EXTENSION,
    EXTENSION_DATA_FILE,
    EXTENSION_ENCRYPTION,
    EXTENSION_END,
    FEATURES,
    HEADER_OF_VERSION_2,
    L1_BYTES_MOST,
    OFFSET,
    REFCOUNT_TABLE_BYTES_MOST,
    SUBCLUSTERS,
    ZERO,
)

_SNAPSHOTS = -2  # Among the numbers at the header's end.


def size(file: File) -> int:
    """Virtual size of a file that stands alone. Raises Refused."""
    (_, version, backing_offset, backing_length, cluster_bits, size_bytes, encryption, *tables) = (
        HEADER_OF_VERSION_2.unpack(file.read(0, HEADER_OF_VERSION_2.size))
    )
    if version not in (2, 3):
        raise Refused(f"Version {version} of QCOW2 is not supported.")
    if backing_offset or backing_length:
        raise Refused("The image depends on a backing file; flatten it first.")
    if encryption:
        raise Refused("The image is encrypted.")
    if tables[_SNAPSHOTS]:
        raise Refused("The image contains internal snapshots; remove or flatten them first.")
    if not CLUSTER_BITS_LEAST <= cluster_bits <= CLUSTER_BITS_MOST:
        raise Refused("The image is damaged: its cluster size is impossible.")
    return _size_of_tables(file, version, cluster_bits, size_bytes, tables)


def _size_of_tables(file: File, version: int, cluster_bits: int, size_bytes: int, tables: list[int]) -> int:
    """Check what the header says of the tables, and what is in them. Returns the virtual size."""
    l1_entries, l1_offset, refcounts_offset, refcounts_clusters, *_ = tables
    features = _features(file) if version == 3 else 0  # noqa: PLR2004 - the older has none.
    cluster = 1 << cluster_bits
    l2_entry_bytes = 16 if features & EXTENDED_L2 else 8
    covered = cluster // l2_entry_bytes * cluster
    if l1_entries < -(-size_bytes // covered) or l1_entries * 8 > L1_BYTES_MOST:
        raise Refused("The image is damaged: its table of clusters does not fit its size.")
    if l1_offset % cluster or not file.holds(l1_offset, l1_entries * 8):
        raise Refused("The image is damaged: its table of clusters lies outside the file.")
    refcounts_bytes = refcounts_clusters * cluster
    if refcounts_bytes > REFCOUNT_TABLE_BYTES_MOST:
        raise Refused("The image is damaged: its reference counts are impossible.")
    if refcounts_offset % cluster or not file.holds(refcounts_offset, min(refcounts_bytes, SECTOR)):
        raise Refused("The image is damaged: its reference counts lie outside the file.")
    layout = _Layout(
        version=version,
        size=sane_size(size_bytes),
        cluster_bits=cluster_bits,
        entry_bytes=l2_entry_bytes,
        l1_offset=l1_offset,
        l1_entries=l1_entries,
        is_deflated=not features & COMPRESSION,
    )
    claims = Extents()
    claims.add(0, sectors(cluster))
    claims.add(l1_offset // SECTOR, sectors(l1_entries * 8))
    if refcounts_clusters:
        claims.add(refcounts_offset // SECTOR, sectors(refcounts_bytes))
    _check_clusters(file, layout, claims)
    return layout.size


def _features(file: File) -> int:
    """The incompatible features of a version 3 header, none of which reach outside the file."""
    incompatible, _, _, _, header_length = FEATURES.unpack(file.read(HEADER_OF_VERSION_2.size, FEATURES.size))
    if incompatible & DATA_FILE:
        raise Refused("The image keeps its data in another file; flatten it first.")
    if incompatible & CORRUPT:
        raise Refused("The image is marked as corrupt; repair it first.")
    if incompatible & ~(DIRTY | COMPRESSION | EXTENDED_L2):
        raise Refused("The image uses features of QCOW2 that are not known here.")
    packing = file.read(COMPRESSION_TYPE, 1)[0] if header_length > COMPRESSION_TYPE else 0
    if packing != (1 if incompatible & COMPRESSION else 0):
        raise Refused("The image is compressed in a way that is not known here.")
    at = header_length
    while HEADER_OF_VERSION_2.size + FEATURES.size <= at <= 1 << CLUSTER_BITS_MOST:
        kind, length = EXTENSION.unpack(file.read(at, EXTENSION.size))
        if kind == EXTENSION_END:
            return int(incompatible)
        if kind == EXTENSION_DATA_FILE:
            raise Refused("The image keeps its data in another file; flatten it first.")
        if kind == EXTENSION_ENCRYPTION:
            raise Refused("The image is encrypted.")
        at += EXTENSION.size + -(-length // 8) * 8
    raise Refused("The image is damaged: its header has no end.")


_L1_RESERVED = 0x7F000000000001FF
_L2_RESERVED = 0x3F000000000001FE  # Of a cluster that is not compressed; the lowest bit is ZERO.
_SECTORS_BITS = 13  # At most so many count a compressed cluster's sectors. No file is so long that 64 have no room.


@dataclass(frozen=True, kw_only=True)
class _Layout:
    """Where a file says its clusters are. Offsets and sizes are in bytes."""

    version: int
    size: int
    cluster_bits: int
    entry_bytes: int  #: 8, or 16 with subclusters.
    l1_offset: int
    l1_entries: int
    is_deflated: bool  #: Whether compressed clusters are, rather than packed by zstd.

    @property
    def cluster(self) -> int:
        """Bytes of a cluster."""
        return 1 << self.cluster_bits


def _check_clusters(file: File, layout: _Layout, claims: Extents) -> None:
    """Refuse clusters that lie outside the file, on each other or on what describes them, and a file cut short.

    The last cluster may be a part: behind the end of the disk, and in
    subclusters that hold nothing. Each of 1,900 files that qemu-img and qemu-io
    7.2 wrote in every which way held its tables of clusters, and the rest of the
    last cluster, in full.
    """
    entries = layout.cluster // layout.entry_bytes
    last = file.length & -layout.cluster
    packed = array.array("Q")
    for number, entry in enumerate(big_endian("Q", file.read(layout.l1_offset, layout.l1_entries * 8))):
        at = entry & OFFSET
        if entry & _L1_RESERVED or at % layout.cluster:
            raise Refused("The image is damaged: its table of clusters makes no sense.")
        if at == 0:
            continue
        table = file.read(at, layout.cluster)
        claims.add(at // SECTOR, layout.cluster // SECTOR)
        _claim(file, table, layout, claims, packed)
        for index in _entries_at(last, table, layout):
            left = layout.size - (number * entries + index) * layout.cluster
            if last + min(_used(table, index, layout), left) > file.length:
                raise Refused("The file is cut short: part of its last cluster is missing.")
    _claim_packed(packed, layout, claims)
    if claims.cross():
        raise Refused("The image is damaged: some of its clusters lie on each other or on its tables.")


def _claim(file: File, table: bytes, layout: _Layout, claims: Extents, packed: array.array[int]) -> None:
    """Add what one table says to *claims*, and its compressed clusters to *packed*: offset, and sectors behind it."""
    words = big_endian("Q", table)
    if layout.entry_bytes != 8:  # noqa: PLR2004 - see the field.
        _check_subclusters(words)
        words = words[::2]
    bits = functools.reduce(operator.or_, words, 0)
    plain: array.array[int] | list[int] = words
    if bits & COMPRESSED:
        _note_packed(file, [word for word in words if word & COMPRESSED], layout, packed)
        plain = [word for word in words if not word & COMPRESSED]
        bits = functools.reduce(operator.or_, plain, 0)
    is_zero_known = layout.version >= 3 and layout.entry_bytes == 8  # noqa: PLR2004 - as the format says.
    if bits & (_L2_RESERVED if is_zero_known else _L2_RESERVED | ZERO) or bits & OFFSET & (layout.cluster - 1):
        raise Refused("The image is damaged: its clusters are described in a way that makes no sense.")
    places = [word & OFFSET for word in plain if word & OFFSET]
    if places and max(places) > file.length & -layout.cluster:
        raise Refused("The file is cut short: some of its clusters are missing.")
    claims.add_alike([place // SECTOR for place in places], layout.cluster // SECTOR)


def _check_subclusters(words: array.array[int]) -> None:
    """Refuse subclusters that are both data and zeros, and data without a place."""
    for word, bits in zip(words[::2], words[1::2], strict=True):
        data = bits & 0xFFFFFFFF
        if data & bits >> SUBCLUSTERS or (data and not word & OFFSET and not word & COMPRESSED):
            raise Refused("The image is damaged: its subclusters contradict each other.")


def _note_packed(file: File, words: list[int], layout: _Layout, packed: array.array[int]) -> None:
    """Remember where compressed clusters lie. Raises Refused for what goes on behind the end of the file."""
    offset_bits = 62 - (layout.cluster_bits - 8)
    offset_mask, sectors_mask = (1 << offset_bits) - 1, (1 << 62 - offset_bits) - 1
    for word in words:
        offset, more = word & offset_mask, word >> offset_bits & sectors_mask
        last_sector = (offset // SECTOR + more) * SECTOR
        # Its last sector need not be whole.
        if last_sector >= file.length or (
            last_sector + SECTOR > file.length and not _is_unpacked(file, offset, layout)
        ):
            raise Refused("The file is cut short: its last compressed clusters are missing.")
        packed.append(offset << _SECTORS_BITS | more)


def _claim_packed(packed: array.array[int], layout: _Layout, claims: Extents) -> None:
    """Claim the clusters that hold compressed ones, which share them, and sectors, with their neighbours alone."""
    claimed, end = -1, 0
    for piece in in_order(packed):
        offset, more = piece >> _SECTORS_BITS, piece & (1 << _SECTORS_BITS) - 1
        if offset < end:
            raise Refused("The image is damaged: some of its compressed clusters lie on each other.")
        # The data reach into their last sector, and at least a byte far.
        last_sector = (offset // SECTOR + more) * SECTOR
        end = max(offset, last_sector) + 1
        for cluster in range(max(offset >> layout.cluster_bits, claimed + 1), (last_sector >> layout.cluster_bits) + 1):
            claims.add(cluster * layout.cluster // SECTOR, layout.cluster // SECTOR)
            claimed = cluster


def _entries_at(offset: int, table: bytes, layout: _Layout) -> Iterator[int]:
    """The entries of a table that put data at *offset*; searched for as bytes, since tables of 2 TiB have 256 MiB."""
    for wanted in (offset, offset | COPIED):
        at = table.find(wanted.to_bytes(8, "big")) if offset else -1
        while at >= 0:
            if at % layout.entry_bytes == 0:
                yield at // layout.entry_bytes
            at = table.find(wanted.to_bytes(8, "big"), at + 1)


def _used(table: bytes, index: int, layout: _Layout) -> int:
    """How many bytes of its cluster an entry uses, up to the last one that holds something."""
    if layout.entry_bytes == 8:  # noqa: PLR2004 - see the field.
        return layout.cluster
    (subclusters,) = struct.unpack_from(">I", table, index * 16 + 12)
    return int(subclusters).bit_length() * layout.cluster // SUBCLUSTERS


def _is_unpacked(file: File, offset: int, layout: _Layout) -> bool:
    """Whether the bytes up to the end of the file unpack to a whole cluster; taken for granted of zstd.

    QEMU would put zeros in the place of what is missing, and deflate makes something of them without complaint.
    """
    if not layout.is_deflated:
        return True
    packed = file.read(offset, file.length - offset)
    try:
        return len(zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed, layout.cluster)) == layout.cluster
    except zlib.error:
        return False
