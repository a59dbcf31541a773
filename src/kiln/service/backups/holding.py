"""Volumes that are held open, so that whatever becomes of their names their bytes can be read.

Layers are never written: a merge puts a copy in a layer's place, and what is
given back loses its name. A file that is open is neither, so what is held is one
whole state of a chain although the sweeper goes on; and when this process ends,
however it ends, nothing is held any more.
"""

from __future__ import annotations

import contextlib
import os
import resource
import stat
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

from kiln.ground.values import dataclass
from kiln.pools import overlay
from kiln.pools.errors import VolumeBroken
from kiln.pools.family import SUFFIX, parent_of
from kiln.service.backups.errors import NotKept

_TRIES = 20
_BESIDE = 64  #: Descriptors that are something else.


@dataclass(frozen=True, kw_only=True)
class Held:
    """One volume that is open. With a ``fault`` its header tells nothing: it has no parent, and 0 bytes."""

    volume: str
    descriptor: int
    parent: str | None
    size_bytes: int
    allocated_bytes: int
    source: tuple[int, ...]  #: As a manifest has it.
    fault: str = ""  #: Why its header cannot be read, which whoever writes the volume may have broken.

    def has_changed(self) -> bool:
        """Whether it was written since it was opened."""
        return stamp(os.fstat(self.descriptor)) != self.source


class Holder:
    """Holds volumes of the pool in the folder *pool*, each with all that it stands on. To be closed."""

    def __init__(self, pool: Path) -> None:
        self._pool = pool
        self._held: dict[str, Held] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.forget_each(list(self._held))

    def get(self, volume: str) -> Held | None:
        """The volume, if it is held."""
        return self._held.get(volume)

    def take(self, volume: str) -> bool:
        """Hold the volume, and what its header says that it stands on. False where one of them is not there.

        Raises VolumeBroken for what is no regular file, OSError.
        """
        for _ in range(_TRIES):
            taken: list[Held] = []
            name: str | None = volume
            try:
                while name is not None and name not in self._held:
                    if any(one.volume == name for one in taken):
                        taken[-1] = replace(taken[-1], parent=None, size_bytes=0, fault=f"{name} stands on itself")
                        break
                    taken.append(_open(self._pool, name))
                    name = taken[-1].parent
            except FileNotFoundError:
                _close(taken)
                if not taken:
                    return False
                continue  # What stands on it was merged meanwhile, and is another file now.
            except BaseException:
                _close(taken)
                raise
            self._held |= {one.volume: one for one in taken}
            return True
        return False

    def forget_each(self, volumes: Iterable[str]) -> None:
        """Let go of these, as far as they are held."""
        _close([self._held.pop(name) for name in self._held.keys() & set(volumes)])


def stamp(about: os.stat_result) -> tuple[int, ...]:
    """What differs once a file is another, or was written."""
    return about.st_ino, about.st_size, about.st_mtime_ns


def stamp_of(pool: Path, volume: str) -> tuple[int, ...]:
    """The stamp of a volume's file; none where there is none."""
    try:
        return stamp((pool / (volume + SUFFIX)).lstat())
    except FileNotFoundError:
        return ()


def make_room_for(volumes: int) -> None:
    """Have the host let so many files be open. Raises NotKept."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most != resource.RLIM_INFINITY and volumes + _BESIDE > most:
        hint = f"Run it with `ulimit -n {volumes + _BESIDE}`, or LimitNOFILE= of its unit."
        raise NotKept(f"the pool has {volumes} volumes, and this process may open {most} files", hint)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _open(pool: Path, volume: str) -> Held:
    path = pool / (volume + SUFFIX)
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        about = os.fstat(descriptor)
        _require_regular(volume, about)
        parent, size_bytes, fault = _header(volume, descriptor)
        return Held(
            volume=volume,
            descriptor=descriptor,
            parent=parent,
            size_bytes=size_bytes,
            allocated_bytes=about.st_blocks * 512,
            source=stamp(about),
            fault=fault,
        )
    except BaseException:
        os.close(descriptor)
        raise


def _header(volume: str, descriptor: int) -> tuple[str | None, int, str]:
    """The parent and the size that the header says, and why it cannot be read."""
    same = Path(f"/proc/self/fd/{descriptor}")
    try:
        return parent_of(same), overlay.read(same).size_bytes, ""
    except VolumeBroken as error:
        return None, 0, f"{volume} {str(error).removeprefix(same.stem).lstrip()}"  # It is named as it was opened.


def _require_regular(volume: str, about: os.stat_result) -> None:
    if not stat.S_ISREG(about.st_mode):
        raise VolumeBroken(f"{volume} is not a regular file")


def _close(held: list[Held]) -> None:
    for one in held:
        with contextlib.suppress(OSError):
            os.close(one.descriptor)
