"""What is called how: the one object of a pool that says which volume is what image or snapshot, and stands on what.

Its keys are the volumes, and each change is one operation of RADOS, which
happens whole or not at all, and only if nobody has changed the object since it
was read. So a freeze of many disks has happened when its one change has, and two
Kilns on one pool never undo each other. Volumes are renamed, merged and put into
the trash here alone; bytes are made before they get a name, and lose it before
they go. A key that begins with ``~`` condemns an image, or a snapshot of one:
it is about to be removed, and gets no name any more.

The object's data say its format and how often it was changed.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any, Literal

from kiln.ground.killpoints import reach
from kiln.ground.values import dataclass
from kiln.pools.errors import RecordsTooNew, ToolFailed, VolumeBroken, VolumeMissing
from kiln.pools.rbd.cluster import EXCLUSIVELY, Cluster, is_overtaken

NAME = "kiln.directory"
FORMAT = 1
_HEAD = b"kiln directory %4d %20d\n"
_LENGTH = len(_HEAD % (0, 0))
_AT_ONCE = 4096  #: Keys that one answer holds.
_TRIES = 50

Where = Literal["pool", "trash"]


@dataclass(frozen=True)
class Entry:
    """One volume: the *snapshot* of an *image*, or where that is "", what the image has as its writable end.

    *size_bytes* is that at the time of the entry: a writable end may have grown since.
    """

    image: str
    snapshot: str
    parent: str | None
    size_bytes: int
    where: Where = "pool"

    @property
    def is_head(self) -> bool:
        """Whether it is what the image is written at."""
        return not self.snapshot


Entries = Mapping[str, Entry]
Condemned = frozenset[tuple[str, str]]  #: Images and their snapshots; "" for the writable end.


@dataclass(frozen=True, kw_only=True)
class Page:
    """The directory at one time."""

    number: int
    entries: Entries
    condemned: Condemned

    def entry(self, volume: str) -> Entry:
        """The volume's. Raises VolumeMissing of one that is not in the pool."""
        found = self.entries.get(volume)
        if found is None or found.where != "pool":
            raise VolumeMissing(volume)
        return found

    def children(self, volume: str) -> set[str]:
        """What stands on a volume, in the pool or in the trash."""
        return {name for name, one in self.entries.items() if one.parent == volume}

    def names(self, image: str) -> dict[str, Entry]:
        """The volumes that an image holds."""
        return {name: one for name, one in self.entries.items() if one.image == image}


@dataclass(frozen=True, kw_only=True)
class Change:
    """What becomes of the directory: *put* and *gone* volumes, and what is *condemned* or *pardoned*."""

    put: Entries
    gone: frozenset[str] = frozenset()
    condemned: Condemned = frozenset()
    pardoned: Condemned = frozenset()


class Directory:
    """See the module's docstring. Safe to use from many threads."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._lock = threading.Lock()
        self._known: Page | None = None

    def read(self) -> Page:
        """The directory as it is now. Raises RecordsTooNew, VolumeBroken, ToolFailed."""
        with self._lock:
            return self._read()

    def change(self, decide: Callable[[Page], Change | None]) -> Page:
        """Change it as *decide* says of what it is; it is asked again where somebody else was quicker.

        What *decide* raises is raised, and None changes nothing. Returns the directory as it is then.
        """
        for _ in range(_TRIES):
            with self._lock:
                page = self._read()
                wanted = decide(page)
                if wanted is None:
                    return page
                reach("rbd.directory.before")
                if self._write(page, wanted):
                    self._known = _changed(page, wanted)
                    reach("rbd.directory.changed")
                    return self._known
        raise ToolFailed(f"the directory of {self._cluster.address} is changed by others without end")

    def _read(self) -> Page:
        while True:
            number = self._number()
            if self._known is not None and self._known.number == number:
                return self._known
            raw = self._keys() if number else {}
            if self._number() == number:  # Else somebody changed it in the middle.
                self._known = _page(number, raw)
                return self._known

    def _number(self) -> int:
        """How often it was changed; 0 where there is none yet."""
        rados = self._cluster.rados
        with self._cluster.telling() as ioctx:
            try:
                said = ioctx.read(NAME, _LENGTH + 1)
            except rados.ObjectNotFound:
                return 0
        words = said.split()
        if len(said) != _LENGTH or words[:2] != [b"kiln", b"directory"]:
            raise VolumeBroken(f"the object {NAME} of {self._cluster.address} is not a directory of ours")
        if int(words[2]) > FORMAT:
            raise RecordsTooNew(f"the pool's directory is of format {int(words[2])}; this Kiln knows {FORMAT}")
        return int(words[3])

    def _keys(self) -> dict[str, bytes]:
        rados = self._cluster.rados
        found: dict[str, bytes] = {}
        after = ""
        with self._cluster.telling() as ioctx:
            while True:
                with rados.ReadOpCtx() as op:
                    some, _ = ioctx.get_omap_vals(op, after, "", _AT_ONCE)
                    ioctx.operate_read_op(op, NAME)
                    batch = dict(some)
                if not batch:
                    return found
                found |= batch
                after = max(batch)

    def _write(self, page: Page, wanted: Change) -> bool:
        """Whether it was changed, and not by somebody else before."""
        rados = self._cluster.rados
        values = {name: _spelled(one) for name, one in wanted.put.items()}
        values |= {_mark(*each): b"" for each in wanted.condemned}
        gone = [*wanted.gone, *(_mark(*each) for each in wanted.pardoned)]
        with self._cluster.telling() as ioctx, rados.WriteOpCtx() as op:
            if page.number:
                op.cmpext(_HEAD % (FORMAT, page.number), 0)
            else:
                op.new(EXCLUSIVELY)
            op.write_full(_HEAD % (FORMAT, page.number + 1))
            if values:
                ioctx.set_omap(op, tuple(values), tuple(values.values()))
            if gone:
                ioctx.remove_omap_keys(op, tuple(gone))
            try:
                ioctx.operate_write_op(op, NAME)
            except rados.Error as error:
                if is_overtaken(rados, error):
                    return False
                raise
        return True


def _page(number: int, raw: Mapping[str, bytes]) -> Page:
    try:
        entries = {name: _parsed(value) for name, value in raw.items() if not name.startswith("~")}
    except (ValueError, KeyError, TypeError) as error:
        raise VolumeBroken("the pool's directory is damaged") from error
    marks = (name[1:].partition("@") for name in raw if name.startswith("~"))
    return Page(number=number, entries=entries, condemned=frozenset((image, snap) for image, _, snap in marks))


def _changed(page: Page, wanted: Change) -> Page:
    entries = {name: one for name, one in page.entries.items() if name not in wanted.gone} | dict(wanted.put)
    condemned = (page.condemned | wanted.condemned) - wanted.pardoned
    return Page(number=page.number + 1, entries=entries, condemned=condemned)


def if_spared(page: Page, put: Mapping[str, Entry]) -> Change:
    """Give names, unless a sweep took what they are for something that a crash left. Raises ToolFailed."""
    if {(one.image, one.snapshot) for one in put.values()} & page.condemned:
        raise ToolFailed("what was made was swept away by another process before it had its name")
    return Change(put=put)


def _mark(image: str, snapshot: str) -> str:
    return f"~{image}@{snapshot}"


def _spelled(entry: Entry) -> bytes:
    return json.dumps(asdict(entry), sort_keys=True).encode()


def _parsed(raw: bytes) -> Entry:
    said: dict[str, Any] = json.loads(raw)
    return Entry(
        image=str(said["image"]),
        snapshot=str(said["snapshot"]),
        parent=None if said["parent"] is None else str(said["parent"]),
        size_bytes=int(said["size_bytes"]),
        where="trash" if said["where"] == "trash" else "pool",
    )
