"""Who stands on whom in a folder of volumes, kept in memory.

Dropping a volume must not read every header of the pool, so parents are
remembered. The folder stays the truth: when it was changed by somebody else,
new files are read, and so are those whose parent went away. Two processes may
therefore share a folder, as long as neither drops what the other is cloning.
"""

from __future__ import annotations

import contextlib
import os
import re
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from kiln.ground.journal import Journal
from kiln.pools import overlay
from kiln.pools.errors import VolumeBroken, VolumeBusy, VolumeMissing

log = Journal("kiln.pools")

SUFFIX = ".qcow2"
# QEMU takes node names of at most 31 characters, and a volume's second node has two more than the volume.
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,28}")
# A folder that changed this recently may change again without its time changing.
_CLOCK_TICK_NS = 20_000_000


def parent_of(path: Path) -> str | None:
    """The volume that the header of *path* names. Raises VolumeMissing, VolumeBroken."""
    backing = overlay.read(path).backing
    if backing is None:
        return None
    # The name is also followed by QEMU's tools, to which "nbd:…" and "json:…" are no names of files.
    if not backing.endswith(SUFFIX) or not NAME.fullmatch(backing.removesuffix(SUFFIX)):
        raise VolumeBroken(f"{path.stem} stands on something that is no volume")
    return backing.removesuffix(SUFFIX)


class Family:
    """The parents of all volumes in one folder. Safe to use from many threads."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._parents: dict[str, str | None] = {}
        self._inodes: dict[str, int] = {}
        self._expected: Counter[str] = Counter()
        self._leaving: set[str] = set()
        self._odd: set[str] = set()
        self._changed_ns = -1
        with self._lock:
            self._refresh()

    @contextlib.contextmanager
    def expecting(self, parent: str) -> Iterator[None]:
        """Keep *parent* from being dropped while something is put above it. Raises VolumeMissing."""
        with self._lock:
            if parent in self._leaving or not self._path(parent).is_file():
                raise VolumeMissing(parent)
            self._expected[parent] += 1
        try:
            yield
        finally:
            with self._lock:
                self._expected -= Counter((parent,))

    @contextlib.contextmanager
    def leaving(self, volume: str) -> Iterator[None]:
        """Keep *volume* from getting children while it is dropped, then forget it. Raises VolumeBusy under a child."""
        with self.departing([volume]) as free:
            if not free:
                raise VolumeBusy(f"something stands on {volume}")
            yield

    @contextlib.contextmanager
    def departing(self, volumes: Iterable[str]) -> Iterator[list[str]]:
        """Those of the volumes that have no children, which get none while they are taken away; then forget them."""
        with self._lock:
            self._refresh()
            stood_on = self._expected.keys() | set(self._parents.values())
            free = [volume for volume in volumes if volume not in stood_on]
            self._leaving.update(free)
        try:
            yield free
        finally:
            with self._lock:
                self._leaving.difference_update(free)
                for volume in free:
                    if not self._path(volume).is_file():
                        self._parents.pop(volume, None)
                        self._inodes.pop(volume, None)

    def stood_on(self) -> set[str]:
        """Every volume that something stands on, or is about to."""
        with self._lock:
            self._refresh()
            return {*self._expected, *(parent for parent in self._parents.values() if parent is not None)}

    def require_childless(self, volume: str) -> None:
        """Raise VolumeBusy when something stands on *volume*, or is about to."""
        with self._lock:
            self._require_childless(volume)

    def note(self, volume: str) -> None:
        """Take in that *volume* is there now, or stands on something else."""
        with self._lock:
            self._read(volume, self._path(volume).stat().st_ino)

    def _require_childless(self, volume: str) -> None:
        self._refresh()
        if volume in self._expected or volume in self._parents.values():
            raise VolumeBusy(f"something stands on {volume}")

    def _path(self, volume: str) -> Path:
        return self._folder / (volume + SUFFIX)

    def _read(self, volume: str, inode: int) -> None:
        try:
            parent = parent_of(self._path(volume))
        except VolumeBroken:
            parent = None  # It is lost already; `verify` says so.
        except VolumeMissing:
            return
        self._parents[volume] = parent
        self._inodes[volume] = inode

    def _refresh(self) -> None:
        changed_ns = self._folder.stat().st_mtime_ns
        if changed_ns == self._changed_ns:
            return
        with os.scandir(self._folder) as entries:
            named = [entry for entry in entries if has_name_of_volume(entry.name)]
            present = {entry.name.removesuffix(SUFFIX): entry.inode() for entry in named if is_volume(entry)}
        odd = {entry.name for entry in named} - {volume + SUFFIX for volume in present}
        for name in sorted(odd - self._odd):
            log.warning("pool_entry_passed_over", name=name, reason="it is not a regular file")
        self._odd = odd
        gone = self._parents.keys() - present.keys()
        for volume in gone:
            del self._parents[volume], self._inodes[volume]
        for volume, inode in present.items():
            if self._inodes.get(volume) != inode or self._parents[volume] in gone:
                self._read(volume, inode)
        # A change within one tick of the last would leave the time as it is.
        settled = time.time_ns() - changed_ns > _CLOCK_TICK_NS
        self._changed_ns = changed_ns if settled else -1


def is_volume(entry: os.DirEntry[str]) -> bool:
    """Whether what the folder has there is a finished volume: a regular file of such a name."""
    return has_name_of_volume(entry.name) and entry.is_file()


def has_name_of_volume(name: str) -> bool:
    """Whether a finished volume's file could be called so."""
    return name.endswith(SUFFIX) and not name.startswith(".")
