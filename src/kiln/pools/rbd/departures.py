"""How volumes leave a pool on Ceph, and how their bytes go.

A volume leaves by one change of the directory, which condemns what held it; then
the bytes go, and then the mark. What a crash leaves of that, ``sweep`` ends. A
snapshot on which clones stand is kept by Ceph until the last of them has gone,
and an image until its last snapshot has: so volumes are deleted in any order.
"""

from __future__ import annotations

import contextlib
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from kiln.ground.killpoints import reach
from kiln.pools.errors import PoolError, VolumeBusy, VolumeMissing
from kiln.pools.port import Discarded
from kiln.pools.rbd.directory import Change, Condemned, Directory, Entry, Page
from kiln.pools.rbd.images import PREFIX, PRESENCE, Images


class Departures:
    """Of one pool. See ``port.Pool`` for the promises."""

    def __init__(self, directory: Directory, images: Images) -> None:
        self._directory = directory
        self._images = images
        self._lock = threading.Lock()
        self._read: Counter[str] = Counter()

    @contextlib.contextmanager
    def reading(self, volume: str) -> Iterator[None]:
        """Let no volume leave while this process reads it: Ceph knows only of who may write."""
        with self._lock:
            self._read[volume] += 1
        try:
            yield
        finally:
            with self._lock:
                self._read[volume] -= 1

    def drop(self, volume: str) -> None:
        """See ``port.Pool``."""
        leaving: list[Entry] = []

        def decide(page: Page) -> Change | None:
            leaving.clear()
            entry = page.entries.get(volume)
            if entry is None or entry.where != "pool":
                return None
            if children := page.children(volume):
                raise VolumeBusy(f"{min(children)} stands on {volume}")
            if self._is_open(volume, entry):
                raise VolumeBusy(f"{volume} is open")
            leaving.append(entry)
            return Change(put={}, gone=frozenset({volume}), condemned=_condemned(leaving))

        page = self._directory.change(decide)
        if leaving:
            self._reap(page, leaving)

    def discard(self, volumes: Sequence[str]) -> list[str]:
        """See ``port.Pool``."""

        def decide(page: Page) -> Change | None:
            there = {name: one for name in volumes if (one := page.entries.get(name)) and one.where == "pool"}
            closed = {name: one for name, one in there.items() if not self._is_open(name, one)}
            for name in self._under_others(page, closed, ("pool",)):
                del closed[name]
            return Change(put={name: replace(one, where="trash") for name, one in closed.items()}) if closed else None

        after = self._directory.change(decide).entries
        return [name for name in volumes if name in after and after[name].where == "trash"]

    def retrieve(self, volume: str) -> None:
        """See ``port.Pool``."""

        def decide(page: Page) -> Change | None:
            entry = page.entries.get(volume)
            if entry is None:
                raise VolumeMissing(volume)
            if entry.where == "pool":
                return None
            if entry.parent is not None and not _is_there(page, entry.parent):
                raise VolumeMissing(entry.parent)
            return Change(put={volume: replace(entry, where="pool")})

        self._directory.change(decide)

    def purge(self, volumes: Sequence[str]) -> list[str]:
        """See ``port.Pool``."""
        leaving: dict[str, Entry] = {}

        def decide(page: Page) -> Change | None:
            leaving.clear()
            leaving.update(
                (name, one)
                for name in volumes
                if (one := page.entries.get(name)) and one.where == "trash" and not self._is_open(name, one)
            )
            for name in self._under_others(page, leaving, ("pool", "trash")):
                del leaving[name]
            if not leaving:
                return None
            return Change(put={}, gone=frozenset(leaving), condemned=_condemned(leaving.values()))

        page = self._directory.change(decide)
        self._reap(page, list(leaving.values()))
        return [name for name in volumes if name not in page.entries or page.entries[name].where != "trash"]

    def discarded(self) -> Iterator[Discarded]:
        """See ``port.Pool``."""
        page = self._directory.read()
        for name, entry in page.entries.items():
            if entry.where == "trash":
                yield Discarded(name=name, volume=name, allocated_bytes=self.allocated(page, entry))

    def forget(self, volume: str) -> None:
        """Take a volume out of the directory whoever stands on it; Ceph keeps what clones need."""
        entry = self._directory.read().entries[volume]
        page = self._directory.change(lambda _: Change(put={}, gone=frozenset({volume}), condemned=_condemned([entry])))
        self._reap(page, [entry])

    def bury(self, image: str) -> None:
        """Remove an image that got no name, as far as that can be done now; a sweep does what is left."""
        with contextlib.suppress(PoolError):
            page = self._directory.read()
            if not page.names(image):
                self._images.remove_all(image)

    def forsake(self, snapshots: Iterable[tuple[str, str]]) -> None:
        """Remove snapshots that no volume is, as far as that can be done now; a sweep does what is left."""
        with contextlib.suppress(PoolError):
            page = self._directory.read()
            named = {(one.image, one.snapshot) for one in page.entries.values()}
            for image, snapshot in snapshots:
                if (image, snapshot) not in named:
                    self._images.remove_snapshot(image, snapshot)
                    self._bury(page, image)

    def allocated(self, page: Page, entry: Entry) -> int:
        """Bytes that are kept for a volume alone, by whole objects."""
        listed = [one for one in self._images.snapshots(entry.image) if one.is_ours]
        names = [one.name for one in listed] + [""]
        if entry.snapshot not in names:
            return 0
        known = {one.snapshot for one in page.names(entry.image).values()}
        before = [name for name in names[: names.index(entry.snapshot)] if name in known]
        return self._images.allocated(entry.image, entry.snapshot, before[-1] if before else None)

    def leftovers(self) -> list[str]:
        """See ``port.Pool``."""
        page = self._directory.read()
        return sorted({_said(*each) for each in page.condemned} | {_said(*each) for each in self._nameless(page)})

    def sweep(self) -> list[str]:
        """See ``port.Pool``. What has no name is condemned first, so that nobody gives it one meanwhile."""
        swept: set[tuple[str, str]] = set()

        def decide(page: Page) -> Change | None:
            swept.clear()
            swept.update(self._nameless(page))
            return Change(put={}, condemned=frozenset(swept)) if swept - page.condemned else None

        page = self._directory.change(decide)
        everything = swept | page.condemned
        self._remove(page, everything)
        return sorted(_said(*each) for each in everything)

    def _nameless(self, page: Page) -> Iterator[tuple[str, str]]:
        """What a crash left: images of ours, and snapshots of them, that no volume is."""
        named = {(one.image, one.snapshot) for one in page.entries.values()}
        used = {image for image, _ in named}
        for image in self._images.names():
            if image == PRESENCE or not image.startswith(PREFIX) or self._images.is_being_made(image):
                continue
            snapshots = self._images.snapshots(image)
            if image not in used:
                # One that holds nothing but what Ceph keeps for clones goes with these.
                if not (snapshots and not any(one.is_ours for one in snapshots)) and not self._images.is_written(image):
                    yield image, ""
                continue
            for one in snapshots:
                if one.is_ours and (image, one.name) not in named and not self._images.is_being_made(image, one.name):
                    yield image, one.name

    def _reap(self, page: Page, leaving: Iterable[Entry]) -> None:
        """Remove what volumes were that have left the directory."""
        reach("rbd.left")
        self._remove(page, {(one.image, one.snapshot) for one in leaving})

    def _remove(self, page: Page, condemned: Iterable[tuple[str, str]]) -> None:
        """Remove bytes that no volume needs, snapshots first, and pardon their marks. What is open stays condemned."""
        done: set[tuple[str, str]] = set()
        for image, snapshot in sorted(condemned, key=lambda each: (each[0], not each[1])):
            with contextlib.suppress(VolumeBusy):
                if snapshot:
                    self._images.remove_snapshot(image, snapshot)
                elif page.names(image):
                    self._images.cut(image)
                self._bury(page, image)
                done.add((image, snapshot))
        if done:
            self._directory.change(lambda _: Change(put={}, pardoned=frozenset(done)))

    def _bury(self, page: Page, image: str) -> None:
        """Remove an image that holds no volume any more, and then the one that was kept for it alone."""
        while image and not page.names(image) and not self._images.is_being_made(image):
            parent = self._images.parent(image)
            if not self._images.remove_all(image) or parent is None:
                return
            image = parent

    def _under_others(self, page: Page, leaving: dict[str, Entry], places: tuple[str, ...]) -> set[str]:
        """Those of *leaving* on which something stands that stays in one of *places*, or on such another of them."""
        staying: set[str] = set()
        while True:
            more = {
                name
                for name in leaving.keys() - staying
                for child in page.children(name)
                if page.entries[child].where in places and (child not in leaving or child in staying)
            }
            if not more:
                return staying
            staying |= more

    def _is_open(self, volume: str, entry: Entry) -> bool:
        with self._lock:
            if self._read[volume]:
                return True
        return entry.is_head and self._images.is_written(entry.image)


def _is_there(page: Page, volume: str) -> bool:
    return volume in page.entries and page.entries[volume].where == "pool"


def _condemned(leaving: Iterable[Entry]) -> Condemned:
    return frozenset((one.image, one.snapshot) for one in leaving)


def _said(image: str, snapshot: str) -> str:
    return f"{image}@{snapshot}" if snapshot else image
