"""Parts of an object that comes in pieces: where each lies, and how it gets there.

All parts but the last are usually as long as the first. So once part 1 has
begun, its length is that of the slots of one file, ``data``, in which each part
has its place already; the object is then made by giving that file its name. What
does not fit (longer than a slot, of unknown length, here before part 1, or a
second time) goes to a file of its own, and is moved when the object is made.
"""

from __future__ import annotations

import json
import os
import re
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, field
from pathlib import Path
from typing import Any

from kiln.buckets.drafts import Checksums, full_said, require_room, write_at
from kiln.buckets.folder import sync_folders
from kiln.buckets.port import PARTIAL, UploadMissing
from kiln.ground.killpoints import reach
from kiln.ground.short_files import read_short
from kiln.ground.values import dataclass

MOST_PARTS = 10_000

_record = re.compile(r"[0-9]{5}").fullmatch


@dataclass(frozen=True, kw_only=True)
class Part:
    """One that has come whole. Version 1 of its record: see docs/internals/bytes-on-disk.md."""

    number: int
    size_bytes: int
    etag: str
    crc64: int | None
    modified_at: float
    offset: int | None = None  #: Where it lies in ``data``; None: it has a file of its own.
    file: str = ""  #: The name of that file.


@dataclass
class State:
    """What this process knows of an upload: who writes to it, and whether anybody may.

    While the object is made, parts may still come: it may be that none is made. So whoever makes it waits for nobody
    and stops nobody, and nobody takes a slot then (``take_slot``) or removes what may be read (``is_taken``).
    """

    busy: set[int] = field(default_factory=set)  #: Parts that are on their way into their slots.
    recording: int = 0  #: How many just begin a part, or record it.
    is_taken: bool = False  #: Somebody makes the object, or gives it up.
    is_over: bool = False
    changed: threading.Condition = field(default_factory=threading.Condition)

    @contextmanager
    def going_on(self) -> Iterator[None]:
        """Have the upload's folder not go meanwhile. Raises UploadMissing."""
        with self.changed:
            self.check()
            self.recording += 1
        try:
            yield
        finally:
            with self.changed:
                self.recording -= 1
                self.changed.notify_all()

    def check(self) -> None:
        """Raise UploadMissing where it is over."""
        if self.is_over:
            raise UploadMissing("it is over")

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Have nobody else make the object, or give it up. Raises UploadMissing where somebody does."""
        with self.changed:
            self.check()
            if self.is_taken:
                raise UploadMissing("it is being completed")
            self.is_taken = True
        try:
            yield
        finally:
            with self.changed:
                self.is_taken = False

    def end(self) -> None:
        """Have nobody write any more, and wait for who is about to."""
        with self.changed:
            self.is_over = True
            while self.recording:
                self.changed.wait()


def known_parts(folder: Path) -> dict[int, Part]:
    """Every part that has come, by its number, in order. Raises UploadMissing."""
    try:
        names = sorted(one.name for one in folder.iterdir() if _record(one.name))
    except FileNotFoundError:
        raise UploadMissing(folder.name) from None
    parts = [_known_part(folder, int(name)) for name in names]
    return {part.number: part for part in parts if part is not None}


def _known_part(folder: Path, number: int) -> Part | None:
    with suppress(FileNotFoundError):
        told = json.loads(read_short(folder / f"{number:05}"))
        told.pop("version")
        return Part(number=number, **told)
    return None


class PartDraft:
    """A part while it comes: it counts after ``keep``, and what was there before it does until then."""

    def __init__(self, folder: Path, state: State, number: int, length: int | None) -> None:
        """Raises UploadMissing, BucketFull."""
        self.sums = Checksums()
        self._folder = folder
        self._state = state
        self._number = number
        self._name = ""
        self._slot: int | None = None
        self._length = length
        self._file = -1
        self._is_fresh = True
        try:
            with full_said():
                require_room(folder, length or 0)
                with state.going_on():
                    self._slot = self._take_slot(length)
                    self._begin()
        except FileNotFoundError:
            self.drop()
            raise UploadMissing(folder.name) from None
        except BaseException:
            self.drop()
            raise

    def write(self, piece: bytes) -> None:
        """The next bytes. Raises BucketFull, UploadMissing."""
        if self._slot is not None and self.sums.size_bytes + len(piece) > (self._length or 0):
            raise ValueError("more came than was told")  # It would be the next part's.
        self._state.check()
        with full_said():
            write_at(self._file, piece, (self._slot or 0) + self.sums.size_bytes, is_fresh=self._is_fresh)
        self.sums.add(piece)

    def keep(self, now: float) -> Part:
        """Have it count, and be durable. Raises BucketFull, UploadMissing."""
        part = Part(
            number=self._number,
            size_bytes=self.sums.size_bytes,
            etag=self.sums.etag,
            crc64=self.sums.crc64,
            modified_at=now,
            offset=self._slot,
            file=self._name,
        )
        try:
            with full_said(), self._state.going_on():
                if self._slot is None:
                    os.truncate(self._file, part.size_bytes)
                os.fdatasync(self._file)
                reach("buckets.part.written")
                before = _known_part(self._folder, self._number)
                _record_part(self._folder, part)
                reach("buckets.part.recorded")
                self._name = ""
                # Who makes the object now may have read that the part is in the old file, which goes with the upload.
                if before is not None and before.file and not self._state.is_taken:
                    (self._folder / before.file).unlink(missing_ok=True)
        finally:
            self.drop()
        return part

    def drop(self) -> None:
        """Leave nothing of it, unless it counts."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
        if self._slot is not None:
            with self._state.changed:
                self._state.busy.discard(self._number)
            self._slot = None
        if self._name:
            (self._folder / self._name).unlink(missing_ok=True)

    def _take_slot(self, length: int | None) -> int | None:
        """Where this part lies in ``data``, nobody else writing there; None where it fits in no slot."""
        with self._state.changed:
            slots = _slot_bytes(self._folder)
            if slots is None and self._number == 1 and length:
                put_whole(self._folder / "slots", {"version": 1, "bytes": length})
                slots = length
            is_known = (self._folder / f"{self._number:05}").exists()
            is_in_use = is_known or self._number in self._state.busy or self._state.is_taken
            if not slots or length is None or length > slots or is_in_use:
                return None
            self._state.busy.add(self._number)
            return (self._number - 1) * slots

    def _begin(self) -> None:
        if self._slot is not None:
            self._file = os.open(self._folder / "data", os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
            self._is_fresh = _is_hole(self._file, self._slot, self._length or 0)
        else:
            self._name = f"{self._number:05}-{uuid.uuid4().hex}"
            flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            self._file = os.open(self._folder / self._name, flags, 0o600)


def put_whole(path: Path, told: dict[str, Any]) -> None:
    """Write a short file in one step, whole and durable."""
    draft = path.with_name(f"{PARTIAL}{uuid.uuid4().hex}")
    with draft.open("xb") as file:
        file.write(json.dumps(told).encode())
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    sync_folders(path.parent, path.parent)


def _record_part(folder: Path, part: Part) -> None:
    told = asdict(part)
    put_whole(folder / f"{told.pop('number'):05}", {"version": 1, **told})


def _slot_bytes(folder: Path) -> int | None:
    try:
        found: int = json.loads(read_short(folder / "slots"))["bytes"]
    except FileNotFoundError:
        return None
    return found


def _is_hole(file: int, offset: int, length: int) -> bool:
    """Whether nothing was written there yet, as by a try that broke off."""
    try:
        return os.lseek(file, offset, os.SEEK_DATA) >= offset + length
    except OSError:
        return True  # Of ENXIO: no data behind this place.
