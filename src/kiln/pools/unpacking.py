"""Disks that come packed: compressed, or as the one disk of an OVA.

The bytes are unpacked by ``unpacking_child``, a process with little memory and a
bounded time, into a draft beside the volumes; what comes out is a file from
outside like any other, to be judged. What is packed twice is unpacked once.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import BinaryIO

from kiln.ground.killpoints import reach
from kiln.ground.units import GiB, KiB
from kiln.pools import stamps
from kiln.pools.errors import Cancelled, PoolFull, SourceRefused, ToolFailed
from kiln.pools.folder import Folder
from kiln.pools.limits import ENVIRONMENT, Limits, walled
from kiln.pools.port import Cancel
from kiln.pools.unpacking_ends import FULL, REFUSED

_MAGICS = (
    (0, b"\x1f\x8b\x08", "gzip"),
    (0, b"\xfd7zXZ\0", "xz"),
    (0, b"BZh", "bzip2"),
    (0, b"\x28\xb5\x2f\xfd", "zstd"),
    # Tools that pack by several threads begin with a frame that is to be skipped, of one of 16 numbers.
    *((0, bytes((number, 0x2A, 0x4D, 0x18)), "zstd") for number in range(0x50, 0x60)),
    (257, b"ustar", "tar"),
)
_MEMORY = 1 * GiB
_CPU_S = 600
_CPU_S_FOR_GIB = 60  # Of the packed file.
_PATIENCE = 5  # Times that of the processor.
_MOST = 2048 * GiB
_ALWAYS = 64 * GiB  # A blank disk shrinks to a ten-thousandth.
_RATIO = 2000
_ROOM_TAKEN = 0.9  # Of what is free: others have to write too.
_TICK_S = 0.2
_WORDS_MAX = 4 * KiB


def kind_of(fd: int) -> str | None:
    """What the open file is packed in; None of one that is not, as far as can be told."""
    head = os.pread(fd, 512, 0)
    return next((kind for at, magic, kind in _MAGICS if head[at : at + len(magic)] == magic), None)


@contextlib.contextmanager
def unpacked(folder: Folder, file: BinaryIO, cancelled: Cancel) -> Iterator[BinaryIO]:
    """The disk that is packed in the open *file*, open; *file* itself when nothing is.

    Raises SourceRefused, PoolFull, Cancelled, ToolFailed.
    """
    kind = kind_of(file.fileno())
    # A boot sector may begin with any bytes.
    if kind is None or os.pread(file.fileno(), 2, 510) == b"\x55\xaa":
        yield file
        return
    with folder.draft() as draft:
        reach("pool.unpack.before")
        with draft.open("r+b") as disk:
            with stamps.held(file.fileno(), stamps.take(file.fileno())):
                _unpack(kind, file, disk, cancelled, folder)
            reach("pool.unpacked")
            yield disk


def _unpack(kind: str, file: BinaryIO, disk: BinaryIO, cancelled: Cancel, folder: Folder) -> None:
    length = os.fstat(file.fileno()).st_size
    room = os.statvfs(folder.path)
    free = int(room.f_bavail * room.f_frsize * _ROOM_TAKEN)
    most = min(_MOST, max(_ALWAYS, _RATIO * length))
    cpu_s = _CPU_S + _CPU_S_FOR_GIB * min(length // GiB, _MOST // GiB)
    command = [sys.executable, "-P", "-m", "kiln.pools.unpacking_child", kind, str(most), str(free)]
    os.lseek(file.fileno(), 0, os.SEEK_SET)
    status, said = _run(
        walled(command, Limits(memory_bytes=_MEMORY, cpu_s=cpu_s, file_bytes=_MOST)), file, disk, cancelled, cpu_s
    )
    if status == REFUSED and said:
        raise SourceRefused(said)
    if status == -signal.SIGXCPU:
        raise SourceRefused(f"The file did not unpack within {cpu_s} s of a processor; unpack it first.")
    if status == FULL:
        raise PoolFull(f"what is packed in the file takes more than the {free} bytes that it may take")
    if status != 0:
        raise ToolFailed(f"the unpacking of a file ended with {status}: {said}", status)


def _run(command: list[str], file: BinaryIO, disk: BinaryIO, cancelled: Cancel, cpu_s: int) -> tuple[int, str]:
    """How the process ended, and what it said."""
    try:
        process = subprocess.Popen(
            command, stdin=file, stdout=disk, stderr=subprocess.PIPE, env=ENVIRONMENT, start_new_session=True
        )
    except FileNotFoundError as error:
        raise ToolFailed(f"{error.filename} is not installed") from error
    with process:
        waited = 0.0
        try:
            while True:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    _, words = process.communicate(timeout=_TICK_S)
                    return process.returncode, words[:_WORDS_MAX].decode(errors="replace").strip()
                waited += _TICK_S
                if cancelled():
                    raise Cancelled
                if waited > _PATIENCE * cpu_s:
                    raise ToolFailed(f"the unpacking of a file did not end within {_PATIENCE * cpu_s} s")
        finally:
            process.kill()
