"""Used nonces in files, so that a restart within their window forgets none.

A folder with ``key``, ``boot`` and, for each five minutes, a file of the marks
that were used in requests of that time: 8 bytes of the account's digest and 15
of the nonce's, one after the other. They are written without waiting for the
disk, which costs microseconds: what a process has written is there after it is
killed. A power cut may take the last seconds; so after another boot of the host
requests of times before the start are refused. One that its client had dated
ahead, within the window, could be used again then: TLS keeps requests from
being seen, and a ClientToken makes a repeated creation harmless.

A full disk takes nothing but this: requests are still answered.
"""

from __future__ import annotations

import math
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from kiln.ground.journal import Journal
from kiln.ground.short_files import NotShort, read_short
from kiln.wire import marks
from kiln.wire.nonces import MemoryNonces

log = Journal("kiln.wire")

_OWNER = 8
_RECORD = _OWNER + marks.SIZE
_KEY = 16
_SUFFIX = ".used"

_BOOT = Path("/proc/sys/kernel/random/boot_id")


def open_nonces(folder: Path, now: float, boot: str | None = None) -> MemoryNonces:
    """The memory that goes on from *folder*, which is made where it is missing. *boot* names the host's boot."""
    try:
        return _open(folder, now, boot if boot is not None else _BOOT.read_text().strip())
    except OSError as error:
        log.warning("nonces_not_kept", folder=str(folder), reason=str(error))
        return MemoryNonces(floor=math.floor(now))


def _open(folder: Path, now: float, boot: str) -> MemoryNonces:
    folder.mkdir(mode=0o700, exist_ok=True)
    key, before = _read(folder / "key"), _read(folder / "boot").decode("ascii", "replace")
    is_continued = len(key) == _KEY and before == boot
    if len(key) != _KEY:
        for file in folder.glob(f"*{_SUFFIX}"):
            file.unlink()
        key = secrets.token_bytes(_KEY)
        _replace(folder / "key", key)
    _replace(folder / "boot", boot.encode())
    floor = 0.0 if is_continued or not before else math.floor(now)
    return MemoryNonces(key=key, known=_known(folder), floor=floor, log=FileLog(folder))


def _known(folder: Path) -> Iterator[tuple[int, bytes, bytes]]:
    for file in folder.glob(f"*{_SUFFIX}"):
        if not file.stem.isdecimal():
            continue
        raw = file.read_bytes()
        whole = len(raw) - len(raw) % _RECORD
        if whole < len(raw):
            os.truncate(file, whole)  # A write that a full disk cut short: what follows must begin with a record.
        for at in range(0, whole, _RECORD):
            yield int(file.stem), raw[at : at + _OWNER], raw[at + _OWNER : at + _RECORD]


class FileLog:
    """Writes nonces to a folder. Called under the lock of the memory that it belongs to."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._open: dict[int, int] = {}
        self._is_failing = False

    def write(self, slot: int, owner: bytes, mark: bytes) -> None:
        """Remember one, as far as that can be; raises nothing."""
        try:
            descriptor = self._open.get(slot)
            if descriptor is None:
                flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
                descriptor = self._open[slot] = os.open(self._file(slot), flags, 0o600)
            written = os.write(descriptor, owner + mark)
            if written < _RECORD:
                os.ftruncate(descriptor, os.fstat(descriptor).st_size - written)
            self._is_failing = False
        except OSError as error:
            if not self._is_failing:
                log.warning("nonces_not_kept", folder=str(self._folder), reason=str(error))
            self._is_failing = True

    def drop(self, slot: int) -> None:
        """Forget those of a slot."""
        descriptor = self._open.pop(slot, None)
        if descriptor is not None:
            os.close(descriptor)
        try:
            self._file(slot).unlink(missing_ok=True)
        except OSError as error:
            log.warning("nonces_not_dropped", folder=str(self._folder), reason=str(error))

    def _file(self, slot: int) -> Path:
        return self._folder / f"{slot}{_SUFFIX}"


def _read(file: Path) -> bytes:
    try:
        return read_short(file)
    except (FileNotFoundError, NotShort):
        return b""


def _replace(file: Path, content: bytes) -> None:
    """Write a small file whole or not at all."""
    draft = file.with_suffix(".new")
    draft.write_bytes(content)
    draft.chmod(0o600)
    draft.replace(file)
