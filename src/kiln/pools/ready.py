"""Overlays that are written ahead: the next of each head that is in use, so that a freeze need only name them.

One is a draft like any other: it has no name of a volume, nobody else can open
it, and what a crash leaves of them is swept with the drafts. Its header and its
owner are those that a freeze at that moment would write; one that a freeze would
write otherwise by then is not used. Half of what it takes to make an overlay is
to have it on the disk, and that is over then. The other half is to have it
open, and so the machine that writes to the head opens the draft too, under the
name that the heir will have if it can; nothing is written to it before a freeze.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from kiln.ground.journal import Journal
from kiln.ground.killpoints import reach
from kiln.ground.values import dataclass
from kiln.pools import luks, overlay, readers
from kiln.pools.ahead import Ahead
from kiln.pools.errors import PoolClosed, ToolFailed, VolumeBroken, VolumeMissing
from kiln.pools.family import SUFFIX
from kiln.pools.folder import Folder, sync
from kiln.pools.guests import Guest, GuestBusy
from kiln.pools.nodes import node

MOST = 1024  #: Each takes 12 KiB; those that were asked for last are kept.
_ASKED_MOST, _FIRST_REST_S = 8, 0.4  #: A machine that starts takes its time, and one that never comes is not awaited.

log = Journal("kiln.pools")


@dataclass(frozen=True)
class Birth:
    """An empty head that is to be made, above *parent* if there is one, of the user *uid* (None: Kiln's own)."""

    volume: str
    size_bytes: int
    parent: str | None = None
    uid: int | None = None
    key: str = ""  #: The ID of the key that it is encrypted with; "": not at all.


@dataclass(frozen=True)
class About:
    """What a head is now, as far as an overlay above it must be so too."""

    size_bytes: int
    uid: int
    key: str = ""


@dataclass(eq=False)
class _Overlay:
    path: Path
    about: About
    volume: str | None = None  #: As which a machine was told to open it, and then nothing else can be made of it.
    is_open: bool = False  #: Whether it is known to have it open.
    asked: int = 0  #: How often a machine was looked for that could open it.
    ask_at: float = 0.0

    def is_fit_for(self, birth: Birth) -> bool:
        """Whether it is what is to be born, and can be opened as that."""
        is_free = self.volume is None or (self.is_open and self.volume == birth.volume)
        now = self.about
        return is_free and (now.size_bytes, now.uid, now.key) == (birth.size_bytes, birth.uid, birth.key)


def write(draft: Path, birth: Birth, keys: luks.Keys = luks.no_keys) -> None:
    """Make an empty draft what is to be born; nothing is synced. Raises ToolFailed, VolumeLocked, OSError."""
    lock = luks.forge(birth.key, keys) if birth.key else b""
    overlay.write(draft, birth.size_bytes, None if birth.parent is None else birth.parent + SUFFIX, lock)
    if birth.uid is not None:
        readers.own(draft, birth.uid)


class Ready:
    """The overlays that were written ahead in one folder. Safe to use from many threads."""

    def __init__(self, folder: Folder, keys: luks.Keys = luks.no_keys) -> None:
        self._folder, self._keys = folder, keys
        self._ahead = Ahead(folder.path)
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

    def make(self, about: Callable[[str], About]) -> int:
        """Write what is wanted and not made yet; returns how many that were.

        *about* tells the size, the owner and the key that a head has now, and raises
        VolumeMissing, VolumeBroken or FileNotFoundError when there is no such head
        any more. A head of which they cannot be told, or whose overlay cannot be
        written, stays wanted and keeps none of the others from theirs; why is
        logged once, and again when that changes. Raises PoolFull.
        """
        with self._lock:
            gone = [head for head, one in self._made.items() if one is not None and not self._is_there(head)]
            wanted = iter([head for head, one in self._made.items() if one is None])
        self.forget(gone)  # By another process, or this one would have forgotten it.
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

    def _is_there(self, head: str) -> bool:
        return (self._folder.path / (head + SUFFIX)).is_file()

    def _make_one(self, head: str, about: Callable[[str], About]) -> bool:
        now = about(head)
        with self._folder.drafts(1, stay=True) as (path,):
            write(path, Birth("", now.size_bytes, head, now.uid, now.key), self._keys)
            sync(path)
            reach("pool.ready.synced")
        with self._lock:
            is_wanted = head in self._made
            if is_wanted:
                self._made[head] = _Overlay(path, now)
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

    def due_to_open(self) -> list[str]:
        """The heads whose overlay no machine has open, and for which it is time to look for one."""
        now = time.monotonic()
        with self._lock:
            found = [
                head
                for head, one in self._made.items()
                if one is not None and one.volume is None and one.asked < _ASKED_MOST and one.ask_at <= now
            ]
            for head in found:
                one = self._made[head]
                assert one is not None  # Such were left out.
                one.ask_at, one.asked = now + _FIRST_REST_S * 2**one.asked, one.asked + 1
        return found

    def open(self, volumes: Mapping[str, str], guest: Guest) -> None:
        """Have a machine open the overlay above each head under the name that *volumes* gives it.

        Raises GuestBusy, and then it may be tried again; GuestError, OSError, and
        then they are gone, since the machine may have some of them open.
        """
        with self._lock:
            found = {head: one for head in volumes if (one := self._made.get(head)) is not None and not one.volume}
            for head, one in found.items():
                one.volume = volumes[head]
            kept = {one.volume for one in self._made.values() if one is not None and one.is_open and one.volume}
        try:
            for head, one in found.items():
                self._ahead.put(volumes[head], one.path)
            guest.open_ahead([self._node(volumes[head], one) for head, one in found.items()], kept)
            reach("pool.ready.opened")
        except GuestBusy:
            self._ahead.remove(volumes[head] for head in found)
            with self._lock:
                for one in found.values():
                    one.volume = None
            raise
        except BaseException:
            self.forget(head for head, one in found.items() if self._made.get(head) is one)
            raise
        with self._lock:
            for one in found.values():
                one.is_open = True

    def _node(self, volume: str, one: _Overlay) -> dict[str, Any]:
        lock = overlay.read(one.path).lock
        passphrase = None if lock is None else luks.open_lock(lock, volume, self._keys)
        return node(self._ahead.path(volume), None, is_head=True, passphrase=passphrase)

    def name_of(self, head: str) -> str | None:
        """As what a machine has the overlay above *head* open; None where none has."""
        with self._lock:
            one = self._made.get(head)
        return one.volume if one is not None and one.is_open else None

    def give_birth(self, births: Collection[Birth]) -> set[str]:
        """Make empty heads, all or none; their names are on the disk once the folder is settled.

        Returns those that a machine has open as what they are.
        """
        with self._taken(births) as made, self._folder.drafts(len(births) - len(made)) as drafts:
            rest = iter(drafts)
            files = {birth: made[birth].path if birth in made else next(rest) for birth in births}
            for birth, file in files.items():
                if birth not in made:
                    write(file, birth, self._keys)
                    reach("pool.birth.written")
            moves = [(file, birth.volume + SUFFIX) for birth, file in files.items()]
            lost = self._folder.name(moves, synced=[one.path for one in made.values()])
            # What somebody else has named so is another file than what a machine may have open.
            return self._follow({birth: one for birth, one in made.items() if birth.volume + SUFFIX not in lost})

    def take_back(self, volumes: Collection[str]) -> None:
        """Remove heads that were born for a guest which was not told of it, and so never writes there.

        Such a guest may have them open from before, and then nobody could tell later whether it writes there.
        """
        for volume in volumes:
            self._ahead.remove([volume])
            self._folder.remove(volume + SUFFIX)

    def _follow(self, made: Mapping[Birth, _Overlay]) -> set[str]:
        """Have the links of those that machines have open lead to what they are by now."""
        opened = set()
        for birth, one in made.items():
            if one.volume is not None:
                # Without the link it is opened anew, as one that no machine had open.
                with suppress(OSError):
                    self._ahead.follow(birth.volume)
                    opened.add(birth.volume)
                    one.volume = None  # The link is the volume's from here on.
        return opened

    @contextmanager
    def _taken(self, births: Iterable[Birth]) -> Iterator[dict[Birth, _Overlay]]:
        """The overlays that are those births; whichever is not named by then is gone afterwards."""
        with self._lock:
            found = {birth: self._made.pop(birth.parent, None) for birth in births if birth.parent is not None}
        try:
            yield {birth: one for birth, one in found.items() if one is not None and one.is_fit_for(birth)}
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
                self._ahead.remove([] if one.volume is None else [one.volume])
