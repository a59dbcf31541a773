"""How volumes leave a pool: for good, or for the trash, where they wait and whence they come back.

None leaves that something stands on, here or in the trash, and none that
somebody has open; while one leaves, nobody comes to open it, on whatever host.
What was made ready above one that leaves goes with it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path

from kiln.ground.values import dataclass
from kiln.pools import locks
from kiln.pools.ahead import Ahead
from kiln.pools.claims import Claims
from kiln.pools.errors import VolumeBusy, VolumeMissing
from kiln.pools.family import SUFFIX, Family, parent_of
from kiln.pools.folder import Folder
from kiln.pools.ready import Ready
from kiln.pools.trash import NAME, Trash


@dataclass(frozen=True, kw_only=True)
class Departures:
    """Of the pool in *folder*. See ``port.Pool`` for the promises."""

    path_of: Callable[[str], Path]  #: The file of a volume in the pool, whether it is there or not.
    folder: Folder
    claims: Claims
    family: Family
    trash: Trash
    overlays: Ready
    ahead: Ahead

    def drop(self, volume: str) -> None:
        """See ``port.Pool``."""
        path = self.path_of(volume)
        if not path.is_file():
            return
        if volume in self.trash.parents():
            raise VolumeBusy(f"something in the trash stands on {volume}")
        with self.family.leaving(volume), contextlib.ExitStack() as held:
            try:
                held.enter_context(locks.keep_closed(path))
            except VolumeMissing:
                return  # Another process has dropped it.
            self._forget([volume])
            self.folder.remove(volume + SUFFIX)

    def discard(self, volumes: Sequence[str]) -> list[str]:
        """See ``port.Pool``."""
        there = [volume for volume in volumes if self.path_of(volume).is_file()]
        aside = [volume for volume in volumes if volume not in there and self.trash.has(volume)]
        with self.family.departing(there) as free, contextlib.ExitStack() as held:
            closed = []
            for volume in free:
                with contextlib.suppress(VolumeBusy, VolumeMissing):
                    held.enter_context(locks.keep_closed(self.path_of(volume)))
                    closed.append(volume)
            if closed:
                self._forget(closed)
                self.trash.put(closed)
        return aside + closed

    def retrieve(self, volume: str) -> None:
        """See ``port.Pool``."""
        path = self.path_of(volume)
        if not self.trash.has(volume):
            if not path.is_file():
                raise VolumeMissing(volume)
            return
        with self.claims.alone(volume, f"{volume} is being taken away, or put back"), contextlib.ExitStack() as held:
            parent = parent_of(path.parent / NAME / path.name)
            if parent is not None:
                held.enter_context(self.family.expecting(parent))
            self.trash.take_back(volume)
            self.family.note(volume)

    def purge(self, volumes: Sequence[str]) -> list[str]:
        """See ``port.Pool``."""
        # What lies there has no children in the pool, unless somebody else has put things back there.
        stood_on = self.family.stood_on()
        return self.trash.remove([volume for volume in volumes if volume not in stood_on])

    def _forget(self, volumes: Sequence[str]) -> None:
        self.overlays.forget(volumes)
        self.ahead.remove(volumes)
