"""A disk of which every write is recorded, and the disks that a power cut could have left of it.

QEMU's storage daemon serves a file by FUSE and logs what is written to it (its
filter ``blklogwrites``, in the form of Linux' dm-log-writes). On the file lies a
loop device, on that a file system. When all is over the log says what reached
the disk in which order, and where it was told to flush: from that any moment
can be made again, with what a volatile cache may have kept back.

https://www.kernel.org/doc/html/latest/admin-guide/device-mapper/log-writes.html
"""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import BinaryIO

from torment.campaign import Skipped

_SECTOR = 512
_HEADER = struct.Struct("<QQQQ")  #: Sector, number of sectors, flags, length of the data that go with it.
_MAGIC = 0x6A736677736872
_FLUSH, _DISCARD = 1, 4
_READY_S = 300.0
_TOOLS = ("qemu-storage-daemon", "mke2fs", "losetup", "mount", "umount")
_SBIN = "/usr/sbin:/sbin"


@dataclass(frozen=True)
class Write:
    """One entry of the log; ``at`` and ``length`` are where its bytes lie in the log."""

    offset: int  #: On the disk, in bytes.
    size: int
    at: int
    length: int  #: 0 where nothing but zeros comes, or a flush.
    is_flush: bool

    @property
    def end(self) -> int:
        """How long the log was when this was in it."""
        return self.at + -(-self.length // _SECTOR) * _SECTOR


class Recorded:
    """A file system on a recorded disk, mounted at ``folder``."""

    def __init__(self, folder: Path, log: Path, size: int) -> None:
        self.folder = folder
        self.size = size
        self._log = log

    def recorded(self) -> int:
        """How long the log is: what was flushed before now lies in it before that."""
        return self._log.stat().st_size


@contextmanager
def record(folder: Path, size: int) -> Iterator[Recorded]:
    """A file system of that size in *folder*, recorded until the context ends. Raises Skipped."""
    _require()
    disk, log, served, mounted = (folder / name for name in ("disk", "log", "served", "mounted"))
    for path in (disk, log, served):
        path.touch()
    os.truncate(disk, size)
    mounted.mkdir()
    with ExitStack() as stack:
        stack.enter_context(_daemon(disk, log, served))
        device = stack.enter_context(_loop(served))
        subprocess.run([_tool("mke2fs"), "-q", "-t", "ext4", device], check=True, capture_output=True)
        stack.enter_context(_mounted(device, mounted))
        yield Recorded(mounted, log, size)


def read_log(folder: Path) -> list[Write]:
    """All that *folder*'s log has, in order; what is not whole at its end was never answered."""
    log = folder / "log"
    writes = []
    with log.open("rb") as file:
        length = os.fstat(file.fileno()).st_size
        magic, _, _, sector = struct.unpack("<QQQI", file.read(28))
        assert (magic, sector) == (_MAGIC, _SECTOR), "this is no log of writes"
        at = _SECTOR
        while at + _SECTOR <= length:
            file.seek(at)
            first, count, flags, _ = _HEADER.unpack(file.read(_HEADER.size))
            size = count * _SECTOR
            # QEMU leaves the length of the data out: there are as many sectors as were written.
            length_here = 0 if flags & (_FLUSH | _DISCARD) else size
            write = Write(first * _SECTOR, size, at + _SECTOR, length_here, bool(flags & _FLUSH))
            if write.end > length:
                break
            writes.append(write)
            at = write.end
    return writes


def cut(folder: Path, writes: Sequence[Write], until: int, chance: Random, left: Path) -> str:
    """Make the disk *left* as a power cut after the first *until* writes could have left it; says what it kept back.

    What came before the last flush is there. Of the rest all may be, or nothing,
    or some of it, of which the last may be torn within.
    """
    last_flush = next((n for n in range(until - 1, -1, -1) if writes[n].is_flush), -1)
    loose = [write for write in writes[last_flush + 1 : until] if write.size]
    how = chance.choice(["all", "nothing", "some", "torn"])
    kept = {"all": loose, "nothing": []}.get(how, [write for write in loose if chance.random() < 0.5])
    left.unlink(missing_ok=True)
    left.touch()
    os.truncate(left, (folder / "disk").stat().st_size)
    with (folder / "log").open("rb") as log, left.open("r+b") as disk:
        for write in (*writes[: last_flush + 1], *kept):
            _apply(log, disk, write)
        if how == "torn" and loose:
            _apply(log, disk, loose[-1], chance.randrange(0, max(1, loose[-1].size // _SECTOR)) * _SECTOR)
    return f"{how} of {len(loose)} loose writes"


@contextmanager
def mounted_copy(disk: Path, folder: Path) -> Iterator[None]:
    """*disk*'s file system at *folder*, its journal replayed."""
    folder.mkdir(exist_ok=True)
    with _loop(disk) as device, _mounted(device, folder):
        yield


def _apply(log: BinaryIO, disk: BinaryIO, write: Write, most: int | None = None) -> None:
    size = write.size if most is None else min(most, write.size)
    if not size:
        return
    disk.seek(write.offset)
    if write.length:
        log.seek(write.at)
        disk.write(log.read(size))
    else:
        disk.write(bytes(size))


def _require() -> None:
    missing = [tool for tool in _TOOLS if _found(tool) is None]
    if missing:
        raise Skipped(f"needs {', '.join(missing)}")
    if os.geteuid() != 0 or not os.access("/dev/fuse", os.W_OK) or not os.access("/dev/loop-control", os.W_OK):
        raise Skipped("needs root, FUSE and loop devices", may_be=True)


@contextmanager
def _daemon(disk: Path, log: Path, served: Path) -> Iterator[None]:
    command = [
        *(_tool("qemu-storage-daemon"), "--blockdev", f"driver=file,node-name=disk,filename={disk}"),
        *("--blockdev", f"driver=file,node-name=log,filename={log}"),
        *("--blockdev", f"driver=blklogwrites,node-name=recorded,file=disk,log=log,log-sector-size={_SECTOR}"),
        *("--export", f"type=fuse,id=served,node-name=recorded,mountpoint={served},writable=on"),
    ]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        try:
            deadline = time.monotonic() + _READY_S
            while served.stat().st_size == 0:
                if process.poll() is not None:
                    said = b"" if process.stderr is None else process.stderr.read()
                    raise Skipped(f"needs a storage daemon that serves by FUSE: {said.decode(errors='replace')}")
                if time.monotonic() > deadline:
                    raise Skipped("needs a storage daemon that serves by FUSE: it does not")
                time.sleep(0.01)
            yield
        finally:
            process.terminate()


@contextmanager
def _loop(file: Path) -> Iterator[str]:
    made = subprocess.run([_tool("losetup"), "-f", "--show", file], capture_output=True, text=True, check=False)
    if made.returncode != 0:
        raise Skipped(f"needs loop devices: {made.stderr.strip()}", may_be=True)
    device = made.stdout.strip()
    try:
        yield device
    finally:
        subprocess.run([_tool("losetup"), "-d", device], check=False, capture_output=True)


@contextmanager
def _mounted(device: str, folder: Path) -> Iterator[None]:
    subprocess.run([_tool("mount"), "-t", "ext4", device, folder], check=True, capture_output=True)
    try:
        yield
    finally:
        with suppress(subprocess.CalledProcessError):
            subprocess.run([_tool("umount"), folder], check=True, capture_output=True)


def _found(tool: str) -> str | None:
    return shutil.which(tool, path=os.environ.get("PATH", "") + ":" + _SBIN)


def _tool(tool: str) -> str:
    found = _found(tool)
    assert found is not None  # It was looked for.
    return found
