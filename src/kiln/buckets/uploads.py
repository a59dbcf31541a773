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
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import accumulate, pairwise
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

#: A folder that holds nothing goes with its bucket, also where somebody is just about to begin something there.
_TRIES = 16

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
            self._buckets.check_way(bucket, name)
            upload = Upload(id=uuid.uuid4().hex.upper(), name=name, begun_at=now, headers=headers)
            for n in range(_TRIES):
                try:
                    self._make(bucket, upload)
                    break
                except FileNotFoundError:  # Somebody removes the bucket, which may be gone then, or is not.
                    if n == _TRIES - 1:
                        raise
        return upload

    def _make(self, bucket: str, upload: Upload) -> None:
        above = self._buckets.path_of(bucket) / _FOLDER
        require_room(above.parent, 0)
        above.mkdir(mode=0o700, exist_ok=True)
        if sum(1 for _ in above.iterdir()) >= self._most_open:
            raise PartRefused("TooManyUploads", f"{self._most_open} uploads of this bucket are open; abort some")
        folder = above / upload.id
        folder.mkdir(mode=0o700)
        (folder / "data").touch(mode=0o600)
        reach("buckets.upload.made")
        told = {"version": 1, "name": upload.name, "begun_at": upload.begun_at, "headers": dict(upload.headers)}
        put_whole(folder / "upload", told)
        sync_folders(above, above.parent)

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
        state = self._state(upload_id)
        with full_said(), state.taken():
            is_quiet = not state.busy  # Before the look at what has come: nobody takes a slot from now on.
            known = known_parts(folder)
            parts = _chosen(known, wanted)
            self._buckets.check_way(bucket, name, is_new_only=is_new_only)
            facts = _facts_of(parts, upload.headers)
            others = set(known) - {part.number for part in parts}
            is_alone = is_quiet and all(known[number].offset is None for number in others)
            with _arranged(folder, parts, facts, is_alone=is_alone) as path:
                reach("buckets.upload.arranged")
                self._buckets.on_way(bucket, name, lambda at: self._buckets.place(path, at, is_new_only=is_new_only))
            reach("buckets.upload.placed")
            self._end(folder)
        return facts

    def abort(self, bucket: str, name: str, upload_id: str) -> None:
        """Give one up. Raises BucketMissing, BucketClosed, UploadMissing."""
        self.find(bucket, name, upload_id)
        with self._state(upload_id).taken():
            self._end(self._folder(bucket, upload_id))

    def clear(self) -> list[str]:
        """Remove what a crash left of uploads that had not begun, or were over; before anybody writes.

        Returns their names, for the log.
        """
        return [self._swept(one) for one in self._folders() if not _is_open(one)]

    def sweep(self, now: float) -> list[str]:
        """Remove what was abandoned; returns the names, for the log."""
        swept = []
        for one in self._folders():
            if self._is_abandoned(one, now):
                with suppress(UploadMissing), self._state(one.name).taken():
                    swept.append(self._swept(one))
        return swept

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
        return state is None or not (state.busy or state.recording)

    def _swept(self, folder: Path) -> str:
        self._end(folder)
        return f"{folder.parent.parent.name}/{folder.name}"

    def _end(self, folder: Path) -> None:
        """Remove an upload's folder: first what says that it is one."""
        self._state(folder.name).end()
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


@contextmanager
def _arranged(folder: Path, parts: Sequence[Part], facts: ObjectFacts, *, is_alone: bool) -> Iterator[Path]:
    """The file in which all *parts* lie one behind the other and nothing else, on the disk, with *facts* beside it.

    That is ``data`` where each has its slot there, and nothing else is or comes there (*is_alone*). Else a new one is
    written, which goes again where the context ends with an error. Killed here, it can be done again.
    """
    offsets = [0, *accumulate(part.size_bytes for part in parts)]
    placed = list(zip(parts, offsets, strict=False))
    is_in_place = is_alone and all(part.offset in (None, offset) for part, offset in placed)
    if is_in_place:
        placed = [(part, offset) for part, offset in placed if part.offset is None]
    path = folder / ("data" if is_in_place else "assembled")
    try:
        _assemble(path, folder, placed, offsets[-1], facts, is_fresh=not is_in_place)
        yield path
    except BaseException:
        if not is_in_place:
            path.unlink(missing_ok=True)
        raise


def _assemble(
    path: Path,
    folder: Path,
    placed: Sequence[tuple[Part, int]],
    size_bytes: int,
    facts: ObjectFacts,
    *,
    is_fresh: bool,
) -> None:
    """Copy parts of an upload to where they are *placed* in a file, a new one where it *is_fresh*, and finish it."""
    require_room(folder, sum(part.size_bytes for part, _ in placed))
    target = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | (os.O_TRUNC if is_fresh else 0), 0o600)
    try:
        for part, offset in placed:
            _copy(folder / (part.file or "data"), part.offset or 0, part.size_bytes, target, offset, is_fresh=is_fresh)
        os.truncate(target, size_bytes)
        keep(target, facts)
        os.fsync(target)
    finally:
        os.close(target)


def _copy(path: Path, start: int, length: int, target: int, offset: int, *, is_fresh: bool) -> None:
    """Copy bytes of one file into another."""
    source = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        done = 0
        while done < length:
            piece = os.pread(source, min(PIECE, length - done), start + done)
            if not piece:
                raise PartRefused("InvalidPart", "a part is shorter than when it came")
            write_at(target, piece, offset + done, is_fresh=is_fresh)
            done += len(piece)
    finally:
        os.close(source)
