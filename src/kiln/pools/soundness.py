"""Whether a volume's file is plainly sound, told without a process for each.

``qemu-img check`` is the judge of a volume's structure, and takes 20 ms to
start. Of a file that is as Kiln and QEMU leave one behind, all that it looks at
is found here in one millisecond: that every entry of every table makes
sense and lies in the file, that no two lead to one cluster, and that the
reference counts are exactly those that the tables give. Whatever is otherwise,
or only unusual (compressed clusters, leaked ones, bitmaps), is not called damaged
here: it is for ``qemu-img check`` to say.
"""

from __future__ import annotations

import array
import functools
import operator
import os
import struct
import sys
from pathlib import Path

from kiln.ground.units import GiB
from kiln.pools.qcow2_format import (
    BACKING_NAME_MAX,
    CLUSTER_BITS_LEAST,
    CLUSTER_BITS_MOST,
    COMPRESSION_TYPE,
    COPIED,
    EXTENDED_L2,
    EXTENSION,
    EXTENSION_BACKING_FORMAT,
    EXTENSION_END,
    EXTENSION_FEATURE_NAMES,
    HEADER,
    L1_BYTES_MOST,
    MAGIC,
    OFFSET,
    REFCOUNT_TABLE_BYTES_MOST,
    SUBCLUSTERS,
    ZERO,
)

#: A longer file qemu-img reads as fast as we do, or faster.
_LENGTH_MOST = 16 * GiB

_VERSION, _REFCOUNT_ORDER = 3, 4
_EXTENDED_CLUSTER_BITS_LEAST = 14


class _Unusual(Exception):
    """Something is not as it is in a volume that nothing was done to."""


def is_plainly_sound(path: Path) -> bool:
    """Whether ``qemu-img check`` of the file, which nobody writes, would have nothing to say. False: ask it."""
    fd = -1
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        _File(fd).check()
    except (_Unusual, OSError, struct.error):
        return False
    finally:
        if fd >= 0:
            os.close(fd)
    return True


class _File:
    """A file, and which of its clusters something leads to."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._length = os.fstat(fd).st_size
        _require(self._length <= _LENGTH_MOST)
        fields = HEADER.unpack(self._read(0, HEADER.size))
        magic, version, _, _, cluster_bits, self._size, encryption, self._l1_entries, self._l1_at, *others = fields
        self._refcounts_at, self._refcounts_clusters, snapshots, snapshots_at, incompatible, *features = others
        compatible, autoclear, refcount_order, self._header_length = features
        _require(magic == MAGIC and version == _VERSION and refcount_order == _REFCOUNT_ORDER)
        # A file that is marked as not closed or as corrupt, that has bitmaps, snapshots, a key or data elsewhere.
        _require(
            not (encryption or snapshots or snapshots_at or compatible or autoclear or incompatible & ~EXTENDED_L2)
        )
        _require(CLUSTER_BITS_LEAST <= cluster_bits <= CLUSTER_BITS_MOST)
        self._is_extended = bool(incompatible & EXTENDED_L2)
        _require(not self._is_extended or cluster_bits >= _EXTENDED_CLUSTER_BITS_LEAST)
        self._cluster = 1 << cluster_bits
        self._used = bytearray(2 * -(-self._length // self._cluster))  # The reference counts that there should be.
        self._backing_at, self._backing_length = fields[2], fields[3]

    def check(self) -> None:
        """Raise _Unusual for whatever is not plainly sound, OSError, struct.error."""
        self._check_header()
        self._claim(0)
        l1_bytes = self._l1_entries * 8
        covered = self._cluster // (16 if self._is_extended else 8) * self._cluster
        _require(-(-self._size // covered) <= self._l1_entries and l1_bytes <= L1_BYTES_MOST)
        self._claim_run(self._l1_at, l1_bytes)
        for entry in _words(self._read(self._l1_at, l1_bytes)):
            if entry:
                _require(entry & ~OFFSET == COPIED)
                self._claim(entry & OFFSET)
                self._claim_all_of(self._read(entry & OFFSET, self._cluster))
        self._check_refcounts()

    def _check_header(self) -> None:
        """That everything in the first cluster has its place, and is known."""
        _require(HEADER.size <= self._header_length <= self._cluster and self._header_length % 8 == 0)
        end = self._cluster
        if self._backing_at:
            _require(0 < self._backing_length <= BACKING_NAME_MAX)
            _require(self._backing_at + self._backing_length <= min(self._cluster, self._length))
            end = self._backing_at
        else:
            _require(self._backing_length == 0)
        head = self._read(0, min(self._cluster, self._length))
        _require(self._header_length == COMPRESSION_TYPE or head[COMPRESSION_TYPE] == 0)
        at = self._header_length
        while True:
            _require(at + EXTENSION.size <= end)
            kind, length = EXTENSION.unpack_from(head, at)
            if kind == EXTENSION_END:
                return
            _require(
                kind in (EXTENSION_BACKING_FORMAT, EXTENSION_FEATURE_NAMES) and at + EXTENSION.size + length <= end
            )
            at += EXTENSION.size + -(-length // 8) * 8

    def _claim_all_of(self, table: bytes) -> None:
        """Claim the clusters that a table of clusters leads to."""
        if table.count(0) == len(table):
            return
        words = _words(table)
        if self._is_extended:
            # Most entries of most tables are zero, and sound.
            for word, bits in ((word, bits) for word, bits in zip(words[::2], words[1::2], strict=True) if word | bits):
                data = bits & 0xFFFFFFFF
                # Neither both data and zeros, nor data without a place.
                _require(not (data & bits >> SUBCLUSTERS) and (bool(word) or not data))
            words = words[::2]
        known = OFFSET | COPIED if self._is_extended else OFFSET | COPIED | ZERO
        _require(not functools.reduce(operator.or_, words, 0) & ~known)
        for word in filter(None, words):
            if word & OFFSET:
                _require(bool(word & COPIED))
                self._claim(word & OFFSET)
            else:
                _require(not word & COPIED)

    def _check_refcounts(self) -> None:
        """That the counts are 1 of what was claimed, with the counts' own clusters, and 0 of all else."""
        table_bytes = self._refcounts_clusters * self._cluster
        _require(0 < table_bytes <= REFCOUNT_TABLE_BYTES_MOST)
        self._claim_run(self._refcounts_at, table_bytes)
        table = self._read(self._refcounts_at, table_bytes)
        needed = -(-len(self._used) // self._cluster)
        _require(needed * 8 <= len(table) and table.count(0, needed * 8) == len(table) - needed * 8)
        blocks = _words(table[: needed * 8])
        for block in blocks:
            if block:
                _require(block & ~OFFSET == 0)
                self._claim(block)
        for number, block in enumerate(blocks):
            wanted = self._used[number * self._cluster : (number + 1) * self._cluster]
            found = self._read(block, self._cluster) if block else bytes(self._cluster)
            _require(found[: len(wanted)] == wanted and found.count(0, len(wanted)) == len(found) - len(wanted))

    def _claim(self, offset: int) -> None:
        """Claim the cluster at an offset: inside of the file, and nobody else's."""
        _require(offset % self._cluster == 0 and offset < self._length)
        at = offset // self._cluster * 2 + 1
        _require(not self._used[at])
        self._used[at] = 1

    def _claim_run(self, offset: int, length: int) -> None:
        for at in range(offset, offset + length, self._cluster):
            self._claim(at)

    def _read(self, offset: int, length: int) -> bytes:
        data = os.pread(self._fd, length, offset)
        _require(len(data) == length)
        return data


def _words(data: bytes) -> array.array[int]:
    words = array.array("Q", data)
    if sys.byteorder == "little":
        words.byteswap()
    return words


def _require(is_so: bool) -> None:
    if not is_so:
        raise _Unusual
