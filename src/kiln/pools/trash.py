"""The part of a pool's folder where dropped volumes wait: ``trash`` below it, entered by nobody but Kiln.

A volume goes there and comes back by one rename, so it is in one of the two
places whatever is killed, and the folder is on the pool's own file system or is
not used at all. A file names its parent relative to its folder: what went there
together can be read there, and what comes back finds what it stood on in the
pool. Knows nothing about who wanted a volume, or when it may go for good.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from kiln.ground.killpoints import reach
from kiln.pools import locks
from kiln.pools.claims import Claims
from kiln.pools.errors import ToolFailed, VolumeBusy, VolumeMissing
from kiln.pools.family import SUFFIX, Family, is_volume
from kiln.pools.folder import minding_room, sync
from kiln.pools.port import Discarded

NAME = "trash"
_MODE = 0o700


class Trash:
    """The folder ``trash`` of the pool in the folder *pool*; it is made when something goes there first."""

    def __init__(self, pool: Path, claims: Claims) -> None:
        self._pool = pool
        self._claims = claims
        self._path = pool / NAME
        self._family: Family | None = None
        if self._is_there():
            # What a killed run had moved but not yet made sure of is as good as any from here on.
            sync(self._path)

    def has(self, volume: str) -> bool:
        """Whether the volume's file lies there."""
        return self._is_there() and (self._path / (volume + SUFFIX)).is_file()

    def put(self, volumes: Sequence[str]) -> None:
        """Move the files of volumes there, which must be in the pool. Raises ToolFailed, PoolFull.

        What was moved before an error stays where it is then; the call may be made again.
        """
        self._prepare()
        for volume in volumes:
            target = self._path / (volume + SUFFIX)
            if os.path.lexists(target):
                raise ToolFailed(f"{volume} lies in the pool and in {self._path} both")
            reach("pool.discard.before")
            self._rename(self._pool / target.name, target)
            reach("pool.discard.renamed")
        # First where they are now: a power cut between the two may show them twice, but never not at all.
        sync(self._path)
        reach("pool.discard.synced")
        sync(self._pool)
        reach("pool.discard.done")

    def take_back(self, volume: str) -> None:
        """Move a volume's file back into the pool, where no file of its name is. Raises ToolFailed, PoolFull."""
        name = volume + SUFFIX
        if os.path.lexists(self._pool / name):
            raise ToolFailed(f"{volume} lies in the pool and in {self._path} both")
        reach("pool.retrieve.before")
        self._rename(self._path / name, self._pool / name)
        reach("pool.retrieve.renamed")
        sync(self._pool)
        reach("pool.retrieve.synced")
        sync(self._path)
        reach("pool.retrieve.done")

    def parents(self) -> set[str]:
        """What the volumes there stand on, as their headers say."""
        family = self._known()
        return set() if family is None else family.stood_on()

    def contents(self) -> Iterator[Discarded]:
        """What lies there, in order."""
        if not self._is_there():
            return
        with os.scandir(self._path) as entries:
            found = sorted((entry.name, is_volume(entry), entry.stat(follow_symlinks=False)) for entry in entries)
        for name, is_ours, status in found:
            volume = name.removesuffix(SUFFIX) if is_ours else None
            yield Discarded(name=name, volume=volume, allocated_bytes=status.st_blocks * 512)

    def remove(self, volumes: Sequence[str]) -> list[str]:
        """Unlink those that nothing there stands on and nobody has open; returns what is gone."""
        family = self._known()
        if family is None:
            return list(volumes)
        gone: list[str] = []
        left = list(volumes)
        while left:
            with family.departing(left) as free:
                leaving = [volume for volume in free if self._unlink(volume)]
            gone += leaving
            left = [volume for volume in left if volume not in leaving]
            if not leaving:
                break
        if gone:
            sync(self._path)
            reach("pool.purge.done")
        return gone

    def _unlink(self, volume: str) -> bool:
        path = self._path / (volume + SUFFIX)
        try:
            with locks.keep_closed(path):
                reach("pool.purge.before")
                path.unlink(missing_ok=True)
                reach("pool.purge.unlinked")
        except VolumeBusy:
            return False
        except VolumeMissing:
            pass  # Another process has unlinked it, or somebody else.
        return True

    def _known(self) -> Family | None:
        if self._family is None and self._is_there():
            self._family = Family(self._path, self._claims)
        return self._family if self._is_there() else None

    def _is_there(self) -> bool:
        """Whether it is a folder of the pool's own; what is mounted or linked there is somebody else's."""
        try:
            found = self._path.lstat()
        except FileNotFoundError:
            return False
        return stat.S_ISDIR(found.st_mode) and found.st_dev == self._pool.stat().st_dev

    def _prepare(self) -> None:
        try:
            with minding_room():
                self._path.mkdir(mode=_MODE, exist_ok=True)
        except OSError as error:
            raise ToolFailed(f"{self._path} cannot be made: {error.strerror}") from error
        if not self._is_there():
            raise ToolFailed(f"{self._path} must be a folder on the pool's own file system, no link and no mount")

    def _rename(self, source: Path, target: Path) -> None:
        try:
            with minding_room():
                source.rename(target)
        except OSError as error:
            raise ToolFailed(f"{source} cannot be moved to {target}: {error.strerror}") from error
