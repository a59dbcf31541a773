"""Uploads of objects in parts: begun, listed, completed and given up.

What has come of one lies in a folder of its bucket, which is no object's:

    .tmp-uploads/ID/upload       whose it is; without it nothing was begun
    .tmp-uploads/ID/data         the slots of its parts; without it the object is there, and the upload over
    .tmp-uploads/ID/slots        how long a slot is
    .tmp-uploads/ID/00001        what is known of part 1, which has come whole
    .tmp-uploads/ID/00002-...    the bytes of a part that has no slot
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import threading
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

from kiln.buckets.drafts import PIECE, full_said, require_room, write_at
from kiln.buckets.facts import ObjectFacts, keep, require_short
from kiln.buckets.folder import FolderBuckets, sync_folders
from kiln.buckets.parts import Part, PartDraft, State, known_parts, put_whole
from kiln.buckets.port import PARTIAL, PartRefused, UploadMissing
from kiln.ground.crc64 import crc64, joined
from kiln.ground.killpoints import reach
from kiln.ground.short_files import read_short
from kiln.ground.units import DAY_S, KiB
from kiln.ground.values import dataclass

#: OSS's own: of all parts but the last.
LEAST_PART = 100 * KiB

#: So many may be open of one bucket: each takes a folder of the disk, with some files.
MOST_OPEN = 1000

#: An upload to which nothing has come for so long is given up.
ABANDONED_S = 7 * DAY_S

_FOLDER = f"{PARTIAL}uploads"
_id = re.compile(r"[0-9A-F]{32}").fullmatch


@dataclass(frozen=True, kw_only=True)
class Upload:
    """An object that is to come in parts."""

    id: str
    name: str  #: The object's.
    begun_at: float
    headers: Mapping[str, str]


class Uploads:
    """Those of all buckets. Safe to use from any thread; one process alone may."""

    def __init__(self, buckets: FolderBuckets, most_open: int = MOST_OPEN) -> None:
        """*most_open* is how many there may be of one bucket."""
        self._buckets = buckets
        self._most_open = most_open
        self._states: dict[str, State] = {}
        self._lock = threading.Lock()

    def begin(self, bucket: str, name: str, headers: Mapping[str, str], now: float) -> Upload:
        """Begin one, of an object that can be made.

        Raises BucketMissing, BucketClosed, BucketFull, FactsRefused, ObjectRefused; PartRefused where too many are open
        already.
        """
        require_short(headers)
        with full_said():
            self._buckets.clear_way(self._buckets.way(bucket, name))
        above = self._buckets.path_of(bucket) / _FOLDER
        with full_said():
            require_room(above.parent, 0)
            above.mkdir(mode=0o700, exist_ok=True)
            if sum(1 for _ in above.iterdir()) >= self._most_open:
                raise PartRefused("TooManyUploads", f"{self._most_open} uploads of this bucket are open; abort some")
            upload = Upload(id=uuid.uuid4().hex.upper(), name=name, begun_at=now, headers=headers)
            folder = above / upload.id
            folder.mkdir(mode=0o700)
            (folder / "data").touch(mode=0o600)
            reach("buckets.upload.made")
            told = {"version": 1, "name": name, "begun_at": now, "headers": dict(headers)}
            put_whole(folder / "upload", told)
            sync_folders(above, above.parent)
        return upload

    def all(self, bucket: str) -> list[Upload]:
        """Those that are open, by name and ID. Raises BucketMissing, BucketClosed."""
        above = self._buckets.path_of(bucket) / _FOLDER
        found = []
        with suppress(FileNotFoundError):
            for one in above.iterdir():
                with suppress(UploadMissing):
                    found.append(_read(one))
        return sorted(found, key=lambda it: (it.name, it.id))

    def find(self, bucket: str, name: str, upload_id: str) -> Upload:
        """The open upload of that object and ID. Raises BucketMissing, BucketClosed, UploadMissing."""
        upload = _read(self._folder(bucket, upload_id))
        if upload.name != name:
            raise UploadMissing(upload_id)
        return upload

    def draft(self, bucket: str, name: str, upload_id: str, number: int, length: int | None) -> PartDraft:
        """A part that comes now, of *length* bytes where that is told.

        Raises BucketMissing, BucketClosed, BucketFull, UploadMissing.
        """
        self.find(bucket, name, upload_id)
        return PartDraft(self._folder(bucket, upload_id), self._state(upload_id), number, length)

    def parts(self, bucket: str, name: str, upload_id: str) -> list[Part]:
        """What has come, by number. Raises BucketMissing, BucketClosed, UploadMissing."""
        self.find(bucket, name, upload_id)
        return list(known_parts(self._folder(bucket, upload_id)).values())

    def complete(
        self,
        bucket: str,
        name: str,
        upload_id: str,
        wanted: Sequence[tuple[int, str]] | None,
        *,
        is_new_only: bool = False,
    ) -> ObjectFacts:
        """Make the object of the parts *wanted*, by number and ETag, or of all that came.

        Raises BucketMissing, BucketClosed, BucketFull, UploadMissing, PartRefused, ObjectExists, ObjectRefused,
        FactsRefused.
        """
        upload = self.find(bucket, name, upload_id)
        folder = self._folder(bucket, upload_id)
        with full_said(), self._state(upload_id).closed():
            known = known_parts(folder)
            parts = _chosen(known, wanted)
            facts = _facts_of(parts, upload.headers)
            for number in set(known) - {part.number for part in parts}:
                # Its place may be another's in a moment; whoever tries again must not find it whole.
                (folder / f"{number:05}").unlink(missing_ok=True)
            path = _arranged(folder, parts, facts)
            target = self._buckets.way(bucket, name)
            reach("buckets.upload.arranged")
            self._buckets.place(path, target, is_new_only=is_new_only)
            reach("buckets.upload.placed")
        self._end(folder)
        return facts

    def abort(self, bucket: str, name: str, upload_id: str) -> None:
        """Give one up. Raises BucketMissing, BucketClosed, UploadMissing."""
        self.find(bucket, name, upload_id)
        with self._state(upload_id).closed():
            self._end(self._folder(bucket, upload_id))

    def clear(self) -> list[str]:
        """Remove what a crash left of uploads that had not begun, or were over; before anybody writes.

        Returns their names, for the log.
        """
        return [self._swept(one) for one in self._folders() if not _is_open(one)]

    def sweep(self, now: float) -> list[str]:
        """Remove what was abandoned; returns the names, for the log."""
        return [self._swept(one) for one in self._folders() if self._is_abandoned(one, now)]

    def _folders(self) -> list[Path]:
        """Those of all uploads, in order."""
        found: list[Path] = []
        for bucket in self._buckets.names():
            with suppress(OSError):  # Of a bucket that is closed to Kiln, or has no uploads.
                above = self._buckets.path_of(bucket) / _FOLDER
                found += (one for one in sorted(above.iterdir()) if _id(one.name))
        return found

    def _is_abandoned(self, folder: Path, now: float) -> bool:
        try:
            newest = max(one.stat().st_mtime for one in (folder, *folder.iterdir()))
        except OSError:
            return False  # Somebody has ended it, or a part of it, just now.
        if newest > now - ABANDONED_S:
            return False
        with self._lock:
            state = self._states.get(folder.name)
        return state is None or not (state.busy or state.writing)

    def _swept(self, folder: Path) -> str:
        self._end(folder)
        return f"{folder.parent.parent.name}/{folder.name}"

    def _end(self, folder: Path) -> None:
        """Remove an upload's folder: first what says that it is one."""
        with suppress(FileNotFoundError):
            (folder / "upload").unlink()
            reach("buckets.upload.ended")
        shutil.rmtree(folder, ignore_errors=True)
        with self._lock:
            self._states.pop(folder.name, None)

    def _folder(self, bucket: str, upload_id: str) -> Path:
        above = self._buckets.path_of(bucket) / _FOLDER
        if not _id(upload_id):
            raise UploadMissing(upload_id)
        return above / upload_id

    def _state(self, upload_id: str) -> State:
        with self._lock:
            return self._states.setdefault(upload_id, State())


def _is_open(folder: Path) -> bool:
    return (folder / "data").exists() and (folder / "upload").exists()


def _read(folder: Path) -> Upload:
    """Raises UploadMissing."""
    try:
        told = json.loads(read_short(folder / "upload"))
        if not (folder / "data").exists():
            raise UploadMissing(folder.name)
    except (FileNotFoundError, NotADirectoryError):
        raise UploadMissing(folder.name) from None
    return Upload(id=folder.name, name=told["name"], begun_at=told["begun_at"], headers=told["headers"])


def _chosen(known: Mapping[int, Part], wanted: Sequence[tuple[int, str]] | None) -> list[Part]:
    """Raises PartRefused."""
    if wanted is None:
        wanted = [(part.number, part.etag) for part in known.values()]
    if not wanted:
        raise PartRefused("InvalidPart", "there is no part")
    if any(one[0] >= after[0] for one, after in pairwise(wanted)):
        raise PartRefused("InvalidPartOrder", "parts are to be listed by their numbers, in order")
    parts = []
    for number, etag in wanted:
        part = known.get(number)
        if part is None or part.etag != etag.strip('"').upper():
            raise PartRefused("InvalidPart", f"part {number} was not uploaded, or has another ETag")
        parts.append(part)
    for part in parts[:-1]:
        if part.size_bytes < LEAST_PART:
            raise PartRefused(
                "EntityTooSmall", f"part {part.number} has {part.size_bytes} bytes, less than {LEAST_PART}"
            )
    return parts


def _facts_of(parts: Sequence[Part], headers: Mapping[str, str]) -> ObjectFacts:
    digest = hashlib.md5(b"".join(bytes.fromhex(part.etag) for part in parts), usedforsecurity=False)
    crc = crc64(b"")
    for part in parts:
        crc = joined(crc, part.crc64, part.size_bytes)
    return ObjectFacts(etag=f"{digest.hexdigest().upper()}-{len(parts)}", crc64=crc, headers=headers)


def _arranged(folder: Path, parts: Sequence[Part], facts: ObjectFacts) -> Path:
    """The file in which all *parts* lie one behind the other and nothing else, on the disk, with *facts* beside it.

    That is ``data`` where each has its slot there; else a new one is written. Killed here, it can be done again.
    """
    offsets, size_bytes = [], 0
    for part in parts:
        offsets.append(size_bytes)
        size_bytes += part.size_bytes
    is_in_place = all(part.offset in (None, offset) for part, offset in zip(parts, offsets, strict=True))
    path = folder / "data"
    if not is_in_place:
        require_room(folder, size_bytes)
        path = folder / "assembled"
        path.unlink(missing_ok=True)
    target = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        for part, offset in zip(parts, offsets, strict=True):
            if part.offset is None or not is_in_place:
                _copy(folder / (part.file or "data"), part.offset or 0, part.size_bytes, target, offset)
        os.truncate(target, size_bytes)
        keep(target, facts)
        os.fsync(target)
    finally:
        os.close(target)
    return path


def _copy(path: Path, start: int, length: int, target: int, offset: int) -> None:
    """Copy bytes of one file into another."""
    source = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        done = 0
        while done < length:
            piece = os.pread(source, min(PIECE, length - done), start + done)
            if not piece:
                raise PartRefused("InvalidPart", "a part is shorter than when it came")
            write_at(target, piece, offset + done, is_fresh=False)
            done += len(piece)
    finally:
        os.close(source)
