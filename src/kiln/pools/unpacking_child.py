"""The process that takes a disk out of what it is packed in: ``python -m kiln.pools.unpacking_child KIND MOST ROOM``.

Reads standard input, a regular file, and writes standard output, an empty one.
KIND is ``gzip``, ``xz``, ``bzip2``, ``zstd`` or ``tar``. The disk may have MOST bytes, of
which ROOM may be other than zeros; these are not written. Ends with 0 when the
disk is whole, with REFUSED and a sentence on standard error when the bytes are
not what they should be, with FULL when there is no room. Whatever else it does
says nothing about the bytes. No name in an archive is ever used as one.
"""

from __future__ import annotations

import bz2
import errno
import lzma
import os
import sys
import zlib
from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any, BinaryIO

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

from kiln.ground.units import KiB, MiB
from kiln.pools import ova
from kiln.pools.foreign import Refused
from kiln.pools.unpacking_ends import FULL, REFUSED

_PIECE = 1 * MiB
_BLOCK = 64 * KiB
_BLANK = bytes(_BLOCK)
_XZ_MEMORY = 256 * MiB
_ZSTD_WINDOW_LOG = 27  #: 128 MiB, which is what zstd's own tool takes without being told to take more.
_GZIP = b"\x1f\x8b\x08"
_NOT_WHOLE = "The file is damaged or cut short: it could not be unpacked."


class _Full(Exception):
    """More is to be written than there is room for."""


class _Disk:
    """The file that is written, with holes for zeros."""

    def __init__(self, fd: int, most: int, room: int) -> None:
        self._fd, self._most, self._room = fd, most, room
        self._length = 0

    def add(self, data: bytes) -> None:
        """Append *data*. Raises Refused, _Full, OSError."""
        if self._length + len(data) > self._most:
            raise Refused(f"The file unpacks to more than {self._most} bytes, which is out of all proportion.")
        for at in range(0, len(data), _BLOCK):
            block = data[at : at + _BLOCK]
            if block != _BLANK[: len(block)]:
                self._room -= len(block)
                if self._room < 0:
                    raise _Full
                self._write(block, self._length + at)
        self._length += len(data)

    def end(self) -> None:
        """Give the file its length. Raises Refused when nothing was in it."""
        if self._length == 0:
            raise Refused("Nothing is packed in the file.")
        os.ftruncate(self._fd, self._length)

    def _write(self, block: bytes, at: int) -> None:
        while block:
            count = os.pwrite(self._fd, block, at)
            block, at = block[count:], at + count


def main() -> None:
    """Unpack standard input to standard output."""
    kind, most, room = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    disk = _Disk(sys.stdout.fileno(), most, room)
    try:
        for piece in _pieces(kind, sys.stdin.buffer):
            disk.add(piece)
        disk.end()
    except Refused as refusal:
        _end(REFUSED, str(refusal))
    except (zlib.error, lzma.LZMAError, zstd.ZstdError, EOFError, ValueError):
        _end(REFUSED, _NOT_WHOLE)
    except _Full:
        _end(FULL, "")
    except OSError as error:
        if error.errno is None:
            # What bzip2's module says of data that are none.
            _end(REFUSED, _NOT_WHOLE)
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            _end(FULL, "")
        raise


def _pieces(kind: str, source: BinaryIO) -> Iterator[bytes]:
    return _of_ova(source) if kind == "tar" else _of_stream(_STREAMS[kind], lambda: source.read(_PIECE))


def _end(status: int, words: str) -> None:
    sys.stderr.write(words)
    sys.exit(status)


class _Deflated:
    """zlib's reader of one gzip member, with the manners of the other two modules."""

    def __init__(self) -> None:
        self._reader = zlib.decompressobj(16 + zlib.MAX_WBITS)

    def decompress(self, data: bytes, most: int) -> bytes:
        return self._reader.decompress(self._reader.unconsumed_tail + data, most)

    @property
    def needs_input(self) -> bool:
        return not self._reader.unconsumed_tail

    @property
    def eof(self) -> bool:
        return self._reader.eof

    @property
    def unused_data(self) -> bytes:
        return self._reader.unused_data


_STREAMS: dict[str, Callable[[], Any]] = {
    "gzip": _Deflated,
    "xz": lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY),
    "bzip2": bz2.BZ2Decompressor,
    "zstd": lambda: zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: _ZSTD_WINDOW_LOG}),
}


def _of_stream(begin: Callable[[], Any], read: Callable[[], bytes]) -> Iterator[bytes]:
    """What compressed bytes hold; several streams may follow each other, and zeros the last."""
    data = read()
    while data:
        reader = begin()
        while not reader.eof:
            piece = reader.decompress(data, _PIECE)
            data = b""
            if piece:
                yield piece
            if not reader.eof and reader.needs_input:
                data = read()
                if not data:
                    raise EOFError
        data = reader.unused_data or read()
        # Zeros fill up the last block of a tape, or to a multiple of four.
        while data and not data.strip(b"\0"):
            data = read()
        data = data.lstrip(b"\0")


def _of_ova(source: BinaryIO) -> Iterator[bytes]:
    """The disk of an OVA, unpacked where the archive keeps it compressed by gzip, as OVF lets it."""
    pieces = ova.disk_of(source)
    first = next(pieces, b"")
    whole = chain([first], pieces)
    if first.startswith(_GZIP):
        return _of_stream(_Deflated, lambda: next(whole, b""))
    return whole


if __name__ == "__main__":
    main()
