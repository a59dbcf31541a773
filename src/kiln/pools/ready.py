"""Overlays that are written ahead: the next of each head that is in use, so that a freeze need only name them.

One is a draft like any other: it has no name of a volume, nobody else can open
it, and what a crash leaves of them is swept with the drafts. Its header and its
owner are those that a freeze at that moment would write; one that a freeze would
write otherwise by then is not used. Half of what it takes to make an overlay is
to have it on the disk, and that is over then.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from kiln.ground.journal import Journal
from kiln.ground.killpoints import reach
from kiln.ground.values import dataclass
from kiln.pools import overlay, readers
from kiln.pools.errors import PoolClosed, ToolFailed, VolumeBroken, VolumeMissing
from kiln.pools.family import SUFFIX
from kiln.pools.folder import Folder, sync

MOST = 1024  #: Each takes 12 KiB; those that were asked for last are kept.

log = Journal("kiln.pools")


@dataclass(frozen=True)
class Birth:
    """An empty head that is to be made, above *parent* if there is one, of the user *uid* (None: Kiln's own)."""

    volume: str
    size_bytes: int
    parent: str | None = None
    uid: int | None = None


@dataclass(frozen=True)
class _Overlay:
    path: Path
    size_bytes: int
    uid: int


def write(draft: Path, birth: Birth) -> None:
    """Make an empty draft what is to be born; nothing is synced. Raises ToolFailed, OSError."""
    overlay.write(draft, birth.size_bytes, None if birth.parent is None else birth.parent + SUFFIX)
    if birth.uid is not None:
        readers.own(draft, birth.uid)


class Ready:
    """The overlays that were written ahead in one folder. Safe to use from many threads."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._made: dict[str, _Overlay | None] = {}  #: By head, the oldest wish first; None: not made yet.
        self._faults: dict[str, str] = {}  #: By head, why none could be made when it was tried last.

    def want(self, heads: Collection[str]) -> None:
        """Have ``make`` write the next overlay above each of these, anew where there is one."""
        with self._lock:
            # What is there may be another owner's by now.
            surplus = [self._made.pop(head, None) for head in heads]
            self._made |= dict.fromkeys(heads)
            surplus += [self._made.pop(head) for head in list(self._made)[: max(0, len(self._made) - MOST)]]
        self._give_back(surplus)

    def make(self, about: Callable[[str], tuple[int, int]]) -> int:
        """Write what is wanted and not made yet; returns how many that were.

        *about* tells the size and the owner that a head has now, and raises
        VolumeMissing, VolumeBroken or FileNotFoundError when there is no such head
        any more. A head of which they cannot be told, or whose overlay cannot be
        written, stays wanted and keeps none of the others from theirs; why is
        logged once, and again when that changes. Raises PoolFull.
        """
        with self._lock:
            wanted = iter([head for head, one in self._made.items() if one is None])
        made, faults = 0, dict[str, str]()
        try:
            for head in wanted:
                try:
                    made += self._make_one(head, about)
                except (VolumeMissing, VolumeBroken, FileNotFoundError, ToolFailed):
                    self.forget([head])  # Of an owner that cannot be set a freeze will say why.
                except (OSError, PoolClosed) as error:
                    # The system's own words name the draft, and that is another each time.
                    faults[head] = getattr(error, "strerror", None) or str(error)
        finally:
            self._tell(faults, left_out=wanted)
        return made

    def _make_one(self, head: str, about: Callable[[str], tuple[int, int]]) -> bool:
        size_bytes, uid = about(head)
        with self._folder.drafts(1, stay=True) as (path,):
            write(path, Birth("", size_bytes, head, uid))
            sync(path)
            reach("pool.ready.synced")
        with self._lock:
            is_wanted = head in self._made
            if is_wanted:
                self._made[head] = _Overlay(path, size_bytes, uid)
        if not is_wanted:  # A freeze has come meanwhile, and did not wait.
            self._folder.give_back(path)
        return is_wanted

    def _tell(self, faults: dict[str, str], left_out: Iterable[str]) -> None:
        """Log each reason that none of the heads with it had when it was tried before."""
        news = {head: reason for head, reason in faults.items() if self._faults.get(head) != reason}
        self._faults = {head: self._faults[head] for head in left_out if head in self._faults} | faults
        for reason in dict.fromkeys(news.values()):
            heads = [head for head, its in news.items() if its == reason]
            log.warning("overlays_not_made_ready", reason=reason, head=heads[0], heads=len(heads))

    @contextmanager
    def taken(self, births: Iterable[Birth]) -> Iterator[dict[str, Path]]:
        """The overlays that are those births, by volume; whichever is not published by then is gone afterwards."""
        with self._lock:
            found = {birth: self._made.pop(birth.parent, None) for birth in births if birth.parent is not None}
        fitting = {
            birth.volume: overlay.path
            for birth, overlay in found.items()
            if overlay is not None and (overlay.size_bytes, overlay.uid) == (birth.size_bytes, birth.uid)
        }
        try:
            yield fitting
        finally:
            self._give_back(found.values())

    def forget(self, heads: Iterable[str]) -> None:
        """Take away what was made for these: they are gone, or will have no overlay soon."""
        with self._lock:
            found = [self._made.pop(head, None) for head in heads]
        self._give_back(found)

    def clear(self) -> None:
        """Take away all of it."""
        with self._lock:
            found, self._made = list(self._made.values()), {}
        self._give_back(found)

    def _give_back(self, overlays: Iterable[_Overlay | None]) -> None:
        for one in overlays:
            if one is not None:
                self._folder.give_back(one.path)
