"""What Kiln demands of disk images that others made; each format has a module of its own beside this one.

QEMU's drivers believe much of what a file says about itself: other files to
open, sizes, tables. Here every such claim is either impossible to make or held
against the length of the file and against every other claim, before a driver
sees it. Only the structures that name things, or say where they lie, are read,
never the data. Facts are from QEMU's ``docs/interop`` and from the published
specifications of VHD and VMDK. Imports nothing of Kiln's but sizes, so that it
can run alone in a walled process.
"""

from __future__ import annotations

import array
import os
import sys

from kiln.ground.units import GiB
from kiln.ground.values import dataclass
from kiln.pools.extents import SECTOR

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
    return sane_size(-(-file.length // SECTOR) * SECTOR)


def sane_size(size: int) -> int:
    """The size of a disk that may be one. Raises Refused."""
    if size <= 0:
        raise Refused(f"The image is damaged: no disk can have {size} bytes.")
    if size % SECTOR:
        # QEMU would cut the last part of a sector off, unsaid.
        raise Refused(f"The disk has {size} bytes, which are no whole sectors of 512; resize it to a multiple of that.")
    if size > VIRTUAL_MAX:
        raise Refused("The disk is larger than 32 TiB.")
    return size


def big_endian(kind: str, data: bytes) -> array.array[int]:
    """The words of a table."""
    return _words(kind, data, "big")


def little_endian(kind: str, data: bytes) -> array.array[int]:
    """The words of a table."""
    return _words(kind, data, "little")


def _words(kind: str, data: bytes, order: str) -> array.array[int]:
    words = array.array(kind, data)
    if sys.byteorder != order:
        words.byteswap()
    return words
