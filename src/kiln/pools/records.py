"""Records that a pool keeps beside its volumes: what they belong to, in documents that it does not read.

They are there for the day on which the database is lost, older than the pool,
or damaged: a second witness of what a volume is. One file, ``records``, a line
each: a checksum, a space, JSON. A line is never changed; the last one of a name
counts, and one without a document says that the thing is gone. What is no whole
line at the end is a write that was cut short; elsewhere it is damage, which is
passed over, counted and kept aside. Knows nothing about what the documents say.

One process writes at a time, which is its caller's affair. All others see what it
wrote; and of two that take themselves for the one, the older batch is refused.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from kiln.ground.journal import Journal
from kiln.ground.killpoints import reach
from kiln.ground.units import MiB
from kiln.ground.values import dataclass
from kiln.pools.errors import RecordsTooNew, VolumeBroken, VolumeBusy
from kiln.pools.folder import Folder, minding_room
from kiln.pools.fresh import FreshRecords, Name, Said, checksum, spelled

FORMAT = 1
NAME = "records"
_DAMAGED = "records.damaged"
FOLDER_MODE = 0o700  #: Of the folder that they lie in.
_SPARE = 1 * MiB  #: Lines that nobody needs any more may take so much more than those that are needed.
_TAIL = 1 * MiB  #: In which the last whole line is looked for; the longest of ours has some 40 KiB.
_CLAIM = "records"  #: Of who writes them.

_of_line = re.compile(rb'"id":"([a-z0-9-]{1,64})","kind":"([a-z]{1,32})"').findall

log = Journal("kiln.pools")


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the line of a name lies, and which volumes it names."""

    offset: int
    length: int
    digest: str
    volumes: tuple[str, ...]


class Records(FreshRecords):
    """The records in a folder, which need not exist, read when they are first asked for. Safe to use from many threads.

    What was ``put`` is seen at once and is on the disk after ``flush``.
    """

    def __init__(self, folder: Folder) -> None:
        super().__init__()
        self._folder = folder
        self._path = folder.path / NAME
        self._sign: tuple[int, ...] | None = None  #: Of the file that was read: what it was, to where, and when.
        self._is_loaded = False
        self._places: dict[Name, _Place] = {}
        self._naming: dict[str, set[Name]] = defaultdict(set)
        self._end = 0
        self._needed = 0
        self._batch = 0
        self._damaged = 0
        self._doubtful: dict[Name, None] = {}
        self._deployment = ""

    @property
    def batch(self) -> int:
        """The number of the last batch that was flushed; 0 before the first."""
        with self._loaded():
            return self._batch

    @property
    def damaged(self) -> int:
        """How many lines cannot be read, of those that were no write cut short."""
        with self._loaded():
            return self._damaged

    @property
    def doubtful(self) -> list[Name]:
        """What such lines were about and no later one tells of, in order; without those that do not even tell that."""
        with self._loaded():
            return sorted(self._doubtful)

    @property
    def deployment(self) -> str:
        """Whose records they are, or "" while that is not written."""
        with self._loaded():
            return self._deployment

    def flush(self, batch: int, deployment: str) -> int:
        """Have everything that was put on the disk, under a number that grows; returns how many lines it took.

        Raises PoolFull and OSError, and VolumeBusy where another process writes, or has written a later batch; then
        nothing was kept, and it may be tried again.
        """
        with self._written_alone(), self._loaded(is_fresh=True), minding_room():
            fresh = dict(self._fresh)
            if not fresh and batch == self._batch:
                return 0
            if batch < self._batch:
                raise VolumeBusy(f"another process has written batch {self._batch} of the records, after {batch}")
            self._batch, before = batch, self._batch
            try:
                if self._damaged or not self._end or self._deployment != deployment or self._is_bloated():
                    self._deployment = deployment
                    self._rewrite(fresh)
                else:
                    self._append(fresh)
            except BaseException:
                self._batch = before
                raise
            self._fresh.clear()
            self._sign = _sign_of(self._path.stat())
            return len(fresh)

    @contextlib.contextmanager
    def _written_alone(self) -> Iterator[None]:
        if self._folder.claims is None:
            yield
            return
        with self._folder.claims.alone(_CLAIM, "another process writes the records"):
            yield

    @contextlib.contextmanager
    def _loaded(self, *, is_fresh: bool = False) -> Iterator[None]:
        """As the file is now; *is_fresh* sees at once what another host wrote, which else may take some seconds."""
        with self._lock:
            try:
                with self._path.open("rb") if is_fresh or not self._is_loaded else contextlib.nullcontext() as file:
                    found = os.stat(self._path) if file is None else os.fstat(file.fileno())  # noqa: PTH116 - often.
            except FileNotFoundError:
                found = None
            sign = None if found is None else _sign_of(found)
            if not self._is_loaded or sign != self._sign:
                self._catch_up(sign)
            yield

    def _catch_up(self, sign: tuple[int, ...] | None) -> None:
        """Read what another process has appended, or all where the file is another."""
        is_longer = self._sign is not None and sign is not None and sign[:2] == self._sign[:2] and sign[2] >= self._end
        if not is_longer or self._damaged:
            for key in list(self._places):
                self._set(key, None)
            self._end = self._batch = self._damaged = 0
            self._doubtful.clear()
            self._deployment = ""
        self._load(self._end)
        self._sign, self._is_loaded = sign, True

    def _load(self, begin: int) -> None:
        """Read all lines from there on. Raises RecordsTooNew, OSError."""
        bad: list[bytes] = []
        try:
            file = self._path.open("rb")
        except FileNotFoundError:
            return
        with file:
            at = file.seek(begin)
            for raw in file:
                offset, at = at, at + len(raw)
                line = _parse(raw)
                if line is None:
                    bad.append(raw)
                    continue
                # What follows a bad line shows that this one was no write cut short.
                self._damaged, self._end = self._damaged + len(bad), at
                self._doubtful |= dict.fromkeys(filter(None, map(_name_told, bad)))
                bad.clear()
                self._take(line, offset, len(raw))
        if self._damaged:
            log.error("records_damaged", file=str(self._path), lines=self._damaged)

    def _take(self, line: dict[str, Any], offset: int, length: int) -> None:
        if "format" in line:
            if line["format"] > FORMAT:
                raise RecordsTooNew(f"the pool's records are of format {line['format']}; this Kiln knows {FORMAT}")
            self._deployment = str(line.get("deployment", ""))
            return
        self._batch = max(self._batch, int(line.get("batch", 0)))
        if "kind" not in line or "id" not in line:
            return
        volumes = tuple(map(str, line.get("volumes", ())))
        place = None if line.get("document") is None else _Place(offset, length, str(line.get("digest", "")), volumes)
        key = (str(line["kind"]), str(line["id"]))
        self._doubtful.pop(key, None)
        self._set(key, place)

    def _set(self, key: Name, place: _Place | None) -> None:
        before = self._places.pop(key, None)
        if before is not None:
            self._needed -= before.length
            for volume in before.volumes:
                self._naming[volume].discard(key)
                if not self._naming[volume]:
                    del self._naming[volume]
        if place is not None:
            self._places[key] = place
            self._needed += place.length
            for volume in place.volumes:
                self._naming[volume].add(key)

    def _is_kept(self, key: Name, document: Mapping[str, Any] | None, volumes: tuple[str, ...]) -> bool:
        place = self._places.get(key)
        if place is None or document is None:
            return place is None and document is None
        return place.digest == _digest(document) and place.volumes == volumes

    def _kept_names(self) -> Iterable[Name]:
        return self._places

    def _kept_document(self, key: Name) -> dict[str, Any] | None:
        place = self._places.get(key)
        return None if place is None else self._read(place)

    def _kept_naming(self, volume: str) -> Iterable[Name]:
        return self._naming.get(volume, ())

    def _is_bloated(self) -> bool:
        return self._end > 2 * self._needed + _SPARE

    def _read(self, place: _Place) -> dict[str, Any]:
        with self._path.open("rb") as file:
            file.seek(place.offset)
            line = _parse(file.read(place.length))
        if line is None:
            raise VolumeBroken("a record changed since it was read")
        document: dict[str, Any] = line["document"]
        return document

    def _append(self, fresh: Mapping[Name, Said]) -> None:
        lines = [(key, *self._line(key, *said), said) for key, said in fresh.items()]
        text = b"".join(line for _, line, _, _ in lines) or _format({"batch": self._batch})
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            reach("records.append.before")
            os.ftruncate(descriptor, self._end)  # A write that was cut short ends here.
            written = 0
            while written < len(text):
                written += os.pwrite(descriptor, text[written:], self._end + written)
            reach("records.append.written")
            os.fsync(descriptor)
            reach("records.append.synced")
        finally:
            os.close(descriptor)
        at = self._end
        for key, line, digest, (document, volumes) in lines:
            self._set(key, None if document is None else _Place(at, len(line), digest, volumes))
            at += len(line)
        self._end += len(text)

    def _rewrite(self, fresh: Mapping[Name, Said]) -> None:
        """Write a new file of the lines that are needed. One that was damaged is kept, for whoever can read it."""
        kept: dict[Name, _Place] = {}
        self._folder.path.mkdir(mode=FOLDER_MODE, exist_ok=True)
        with self._folder.draft() as draft, draft.open("r+b") as file:
            file.write(_format({"format": FORMAT, "deployment": self._deployment}))
            for key in sorted(self._places.keys() - fresh.keys()):
                place = self._places[key]
                self._write(file, kept, key, self._read(place), place.volumes)
            for key, (document, volumes) in fresh.items():
                if document is not None:
                    self._write(file, kept, key, document, volumes)
            file.write(_format({"batch": self._batch}))
            file.flush()
            end = file.tell()
            if self._damaged:
                self._keep_damaged()
            reach("records.rewrite.before")
            self._folder.replace(draft, NAME)
            reach("records.rewrite.done")
        for key in list(self._places):
            self._set(key, None)
        for key, place in kept.items():
            self._set(key, place)
        self._end, self._damaged = end, 0
        self._doubtful.clear()

    def _write(
        self,
        file: Any,
        kept: dict[Name, _Place],
        key: Name,
        document: Mapping[str, Any],
        volumes: tuple[str, ...],
    ) -> None:
        line, digest = self._line(key, document, volumes)
        kept[key] = _Place(file.tell(), len(line), digest, volumes)
        file.write(line)

    def _keep_damaged(self) -> None:
        aside = self._path.with_name(_DAMAGED)
        aside.unlink(missing_ok=True)
        with contextlib.suppress(FileNotFoundError):
            os.link(self._path, aside)

    def _line(self, key: Name, document: Mapping[str, Any] | None, volumes: tuple[str, ...]) -> tuple[bytes, str]:
        """The line, and the digest of the document, which is spelled once: that takes most of a record's time."""
        said: dict[str, Any] = {"batch": self._batch, "kind": key[0], "id": key[1], "document": None}
        if document is None:
            return _format(said), ""
        text_of = spelled(document)
        digest = checksum(text_of)
        text = spelled(said | {"volumes": volumes, "digest": digest})
        # The names stand in order, and before the document there are numbers and hexadecimal digits alone.
        return _sealed(text.replace(b'"document":null', b'"document":' + text_of, 1)), digest


@dataclass(frozen=True)
class Summary:
    """Whose records lie in a folder, and the number of their last batch."""

    deployment: str
    batch: int


def summarise(path: Path) -> Summary | None:
    """Read the first line and the end of the records in the folder *path*; None where there are none.

    Changes nothing. Raises RecordsTooNew, OSError.
    """
    try:
        with (path / NAME).open("rb") as file:
            first = _parse(file.readline(_TAIL)) or {}
            length = file.seek(0, os.SEEK_END)
            file.seek(max(0, length - _TAIL))
            lines = [line for line in map(_parse, file.read().splitlines(keepends=True)) if line is not None]
    except FileNotFoundError:
        return None
    if first.get("format", 0) > FORMAT:
        raise RecordsTooNew(f"the pool's records are of format {first['format']}; this Kiln knows {FORMAT}")
    return Summary(str(first.get("deployment", "")), max((int(line.get("batch", 0)) for line in lines), default=0))


def _sign_of(found: os.stat_result) -> tuple[int, ...]:
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def _digest(document: Mapping[str, Any]) -> str:
    return checksum(spelled(document))


def _format(value: Mapping[str, Any]) -> bytes:
    return _sealed(spelled(value))


def _sealed(text: bytes) -> bytes:
    return checksum(text).encode() + b" " + text + b"\n"


def _parse(raw: bytes) -> dict[str, Any] | None:
    """What a line says; None when it is no whole line of ours."""
    sealed, _, text = raw.rstrip(b"\n").partition(b" ")
    if not raw.endswith(b"\n") or checksum(text).encode() != sealed:
        return None
    try:
        value = json.loads(text)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _name_told(raw: bytes) -> Name | None:
    """What a damaged line was about, where that much of it can be read: behind the document come ID and kind."""
    found = _of_line(raw)
    return None if not found else (found[-1][1].decode(), found[-1][0].decode())
