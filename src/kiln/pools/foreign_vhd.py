"""What Kiln demands of a VHD file."""

from __future__ import annotations

import re
import struct

from kiln.ground.units import GiB, MiB
from kiln.pools.extents import SECTOR, Extents, sectors
from kiln.pools.foreign import File, Refused, big_endian, sane_size

COOKIE = b"conectix"
_FOOTER = struct.Struct(">8sII Q I4sI4s QQ I II")  # up to and with the checksum
_TIME = slice(24, 28)
_CHECKSUM = slice(64, 68)
_DYNAMIC_HEADER = struct.Struct(">8sQQIIII")
_DYNAMIC_HEADER_BYTES = 1024
_FIXED, _DYNAMIC, _DIFFERENCING = 2, 3, 4
_UNUSED = 0xFFFFFFFF
_TABLE_MAX = 16 * MiB  # Of a disk of 2 TiB in blocks of 512 KiB, a quarter of the usual.
_BLOCK_MIN = 8 * SECTOR  # Of less QEMU takes the map to have no bytes.
_UNWRITTEN = re.compile("0+")
_SIZE_MAX = 2040 * GiB  # QEMU's own limit.


def size(file: File) -> int:
    """Virtual size of a fixed or dynamic VHD that stands alone. Raises Refused."""
    if not file.holds(0, 2 * SECTOR) or file.length % SECTOR:
        raise Refused("The file is cut short.")
    footer = file.read(file.length - SECTOR, SECTOR)
    if not footer.startswith(COOKIE):
        raise Refused("The file is cut short: a VHD ends with a footer, and this one does not.")
    *_, header_offset, _, _, _, _, _, size_bytes, _, kind, checksum = _FOOTER.unpack(footer[: _FOOTER.size])
    if checksum != _checksum(footer, _FOOTER.size - 4):
        raise Refused("The image is damaged: the checksum of its footer is wrong.")
    if kind == _DIFFERENCING:
        raise Refused("The image depends on a parent VHD; merge it first.")
    if kind == _FIXED:
        if file.read(0, len(COOKIE)) == COOKIE:
            raise Refused("The image is damaged: it says that it is both a fixed and a dynamic VHD.")
        if size_bytes + SECTOR != file.length:
            raise Refused("The image is damaged: its size is not the one that its footer gives.")
        return _sane_size(size_bytes)
    if kind != _DYNAMIC:
        raise Refused("Only fixed and dynamic VHDs are supported.")
    _check_copy(footer, file.read(0, SECTOR))
    _check_blocks(file, header_offset, size_bytes)
    return _sane_size(size_bytes)


def _check_copy(footer: bytes, copy: bytes) -> None:
    """Refuse a file whose footer and copy differ but in the time at which each was written, which some writers do."""
    if _timeless(copy) != _timeless(footer):
        raise Refused("The image is damaged: its footer and the copy of it differ.")
    if int.from_bytes(copy[_CHECKSUM], "big") != _checksum(copy, _FOOTER.size - 4):
        raise Refused("The image is damaged: the checksum of its footer's copy is wrong.")


def _timeless(footer: bytes) -> bytes:
    kept = bytearray(footer)
    kept[_TIME] = kept[_CHECKSUM] = bytes(4)
    return bytes(kept)


def _check_blocks(file: File, header_offset: int, size_bytes: int) -> None:
    """Refuse blocks that do not lie, each in a place of its own, between what describes them and the footer."""
    header = file.read(header_offset, _DYNAMIC_HEADER_BYTES)
    cookie, _, table_offset, _, entries, block, checksum = _DYNAMIC_HEADER.unpack(header[: _DYNAMIC_HEADER.size])
    if cookie != b"cxsparse" or checksum != _checksum(header, _DYNAMIC_HEADER.size - 4):
        raise Refused("The image is damaged: the checksum of its header is wrong.")
    if block < _BLOCK_MIN or block & (block - 1) or entries * block < size_bytes:
        raise Refused("The image is damaged: its blocks do not fit its size.")
    if not 0 < entries * 4 <= _TABLE_MAX:
        raise Refused("The image is damaged: its table of blocks is impossible.")
    if header_offset % SECTOR or table_offset % SECTOR:
        raise Refused("The image is damaged: its header or its table of blocks begins within a sector.")
    blocks = [at for at in big_endian("I", file.read(table_offset, entries * 4)) if at != _UNUSED]
    length = sectors(block // SECTOR // 8) + block // SECTOR
    if blocks and (max(blocks) + length) * SECTOR > file.length - SECTOR:
        raise Refused("The file is cut short: its last block is missing.")
    claims = Extents()
    claims.add(0, 1)
    claims.add(header_offset // SECTOR, sectors(_DYNAMIC_HEADER_BYTES))
    claims.add(table_offset // SECTOR, sectors(entries * 4))
    claims.add(file.length // SECTOR - 1, 1)
    claims.add_alike(blocks, length)
    if claims.cross():
        raise Refused("The image is damaged: some of its blocks lie on each other or on its tables.")
    _check_maps(file, blocks, block)


def _check_maps(file: File, blocks: list[int], block: int) -> None:
    """Refuse blocks whose maps say that a sector was never written, while it holds something.

    By the specification such a sector reads as zeros; QEMU looks at no map, and reads what is there.
    """
    map_bytes = block // SECTOR // 8
    full = b"\xff" * map_bytes
    for at in blocks:
        written = file.read(at * SECTOR, map_bytes)
        if written == full:
            continue
        data = (at + sectors(map_bytes)) * SECTOR
        bits = f"{int.from_bytes(written, 'big'):0{map_bytes * 8}b}"
        for run in _UNWRITTEN.finditer(bits):
            for n in range(run.start() * SECTOR, run.end() * SECTOR, MiB):
                if file.read(data + n, min(MiB, run.end() * SECTOR - n)).strip(b"\0"):
                    raise Refused("The image is damaged: its maps of sectors contradict what the sectors hold.")


def _sane_size(size_bytes: int) -> int:
    if sane_size(size_bytes) > _SIZE_MAX:
        raise Refused("The image is damaged: no VHD can have this size.")
    return size_bytes


def _checksum(structure: bytes, field_offset: int) -> int:
    """The ones' complement of the sum of all bytes but the checksum's own four."""
    total = sum(structure) - sum(structure[field_offset : field_offset + 4])
    return ~total & 0xFFFFFFFF
