"""Who stands on whom in a folder of volumes, kept in memory.

Dropping a volume must not read every header of the pool, so parents are
remembered. The folder stays the truth: when it was changed by somebody else,
new files are read, and so are those whose parent went away. Any number of
processes may share a folder: whoever puts something on a volume claims it, and
whoever takes a volume away claims it alone, before each looks at the folder.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from kiln.ground.journal import Journal
from kiln.pools import overlay
from kiln.pools.claims import Claims
from kiln.pools.errors import VolumeBroken, VolumeBusy, VolumeMissing

log = Journal("kiln.pools")

SUFFIX = ".qcow2"
# QEMU takes node names of at most 31 characters, and a volume's second node has two more than the volume.
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,28}")
# A folder that changed this recently may change again without its time changing; some tell whole seconds alone.
_CLOCK_TICK_S, _CLOCK_TICK_OF_SECONDS_S = 0.02, 1.1
_SECOND_NS = 1_000_000_000

_Sign = tuple[int, int]  #: Of a file: its inode and when it was changed, which a file in its place has not both.


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

    def __init__(self, folder: Path, claims: Claims | None = None) -> None:
        self._folder = folder
        self._claims = claims
        self._lock = threading.Lock()
        self._parents: dict[str, str | None] = {}
        self._signs: dict[str, _Sign] = {}
        self._expected: Counter[str] = Counter()
        self._leaving: set[str] = set()
        self._odd: set[str] = set()
        self._settled_ns = -1  #: The folder's time when all that had that time was taken in.
        self._mark: bytes | None = None  #: Of the claims, up to which replaced files were looked for.
        self._seen_ns, self._seen_s = -1, 0.0  #: The folder's last time, and since when it has been seen.
        with self._lock:
            self._refresh()

    @contextlib.contextmanager
    def expecting(self, parent: str) -> Iterator[None]:
        """Keep *parent* from being dropped while something is put above it.

        Raises VolumeMissing, VolumeBusy while another process is at taking it away.
        """
        with self.staying(parent):
            with self._lock:
                self._expected[parent] += 1
            try:
                yield
            finally:
                with self._lock:
                    self._expected -= Counter((parent,))

    @contextlib.contextmanager
    def staying(self, volume: str) -> Iterator[None]:
        """Keep *volume* from being taken away. Raises as ``expecting``."""
        with self._lock:
            if volume in self._leaving:
                raise VolumeMissing(volume)
            if self._claims is not None and not self._claims.share(volume):
                raise VolumeBusy(f"{volume} is being taken away, or put back")
        try:
            # Looked at once it is claimed: nobody takes it away after that.
            if not self._is_there(volume):
                raise VolumeMissing(volume)
            yield
        finally:
            self._release([volume])

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
            claimed = [volume for volume in volumes if self._claims is None or self._claims.hold(volume)]
            try:
                # Nobody puts anything on these any more, so what is there now is all that there will be.
                self._refresh_surely()
                stood_on = self._expected.keys() | set(self._parents.values())
                free = [volume for volume in claimed if volume not in stood_on]
            except BaseException:
                self._release(claimed)
                raise
            self._release(volume for volume in claimed if volume not in free)
            self._leaving.update(free)
        try:
            yield free
        finally:
            with self._lock:
                self._leaving.difference_update(free)
                for volume in free:
                    if not self._path(volume).is_file():
                        self._parents.pop(volume, None)
                        self._signs.pop(volume, None)
                self._release(free)

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
            self._read(volume, _sign_of(self._path(volume).stat()))

    def _is_there(self, volume: str) -> bool:
        with _opened(self._folder) as folder, contextlib.suppress(FileNotFoundError):
            return stat.S_ISREG(os.stat(volume + SUFFIX, dir_fd=folder).st_mode)
        return False

    def _release(self, volumes: Iterable[str]) -> None:
        if self._claims is not None:
            for volume in volumes:
                self._claims.release(volume)

    def _require_childless(self, volume: str) -> None:
        self._refresh()
        is_claimed = self._claims is not None and self._claims.is_claimed_elsewhere(volume)
        if is_claimed or volume in self._expected or volume in self._parents.values():
            raise VolumeBusy(f"something stands on {volume}")

    def _path(self, volume: str) -> Path:
        return self._folder / (volume + SUFFIX)

    def _read(self, volume: str, sign: _Sign) -> None:
        try:
            parent = parent_of(self._path(volume))
        except VolumeBroken:
            parent = None  # It is lost already; `verify` says so.
        except VolumeMissing:
            return
        self._parents[volume] = parent
        self._signs[volume] = sign

    def _refresh_surely(self) -> None:
        """As ``_refresh``, strictly where some process has replaced a file since that was done last."""
        if self._claims is None:
            self._refresh()
            return
        mark, is_whole = self._claims.mark()
        self._refresh(is_strict=mark != self._mark)
        if is_whole:
            self._mark = mark

    def _refresh(self, *, is_strict: bool = False) -> None:
        """Take in what was changed in the folder.

        A file that was replaced has another inode, unless it got that of one that went before. With *is_strict* its
        time counts too, which takes a look at each file.
        """
        # On a network a folder is looked at anew when it is opened, and only some seconds later when it is not.
        with _opened(self._folder) as folder:
            changed_ns = os.fstat(folder).st_mtime_ns
            if changed_ns == self._settled_ns and not is_strict:
                return
            now_s = time.monotonic()
            if changed_ns != self._seen_ns:
                self._seen_ns, self._seen_s = changed_ns, now_s
            present, odd = _scan(folder, is_strict=is_strict)
        for name in sorted(odd - self._odd):
            log.warning("pool_entry_passed_over", name=name, reason="it is not a regular file")
        self._odd = odd
        gone = self._parents.keys() - present.keys()
        for volume in gone:
            del self._parents[volume], self._signs[volume]
        for volume, (inode, time_ns) in present.items():
            known = self._signs.get(volume)
            is_as_known = known is not None and known[0] == inode and (not is_strict or known[1] == time_ns)
            if not is_as_known or self._parents[volume] in gone:
                with contextlib.suppress(FileNotFoundError):
                    self._read(volume, _sign_of(self._path(volume).stat()))
        # A change within one tick of the last would leave the time as it is. The folder's clock may be another host's,
        # so it counts how long the time has been seen here.
        tick_s = _CLOCK_TICK_S if changed_ns % _SECOND_NS else _CLOCK_TICK_OF_SECONDS_S
        self._settled_ns = changed_ns if now_s - self._seen_s > tick_s else -1


@contextlib.contextmanager
def _opened(folder: Path) -> Iterator[int]:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _scan(folder: int, *, is_strict: bool) -> tuple[dict[str, _Sign], set[str]]:
    """The volumes in an open folder, without the times of their files unless *is_strict*, and what else is so named."""
    present: dict[str, _Sign] = {}
    odd = set()
    with os.scandir(folder) as entries:
        for entry in entries:
            if is_volume(entry):
                with contextlib.suppress(FileNotFoundError):  # It went just now.
                    sign = _sign_of(entry.stat(follow_symlinks=False)) if is_strict else (entry.inode(), 0)
                    present[entry.name.removesuffix(SUFFIX)] = sign
            elif has_name_of_volume(entry.name):
                odd.add(entry.name)
    return present, odd


def _sign_of(found: os.stat_result) -> _Sign:
    return found.st_ino, found.st_ctime_ns


def is_volume(entry: os.DirEntry[str]) -> bool:
    """Whether what the folder has there is a finished volume: a regular file of such a name."""
    return has_name_of_volume(entry.name) and entry.is_file()


def has_name_of_volume(name: str) -> bool:
    """Whether a finished volume's file could be called so."""
    return name.endswith(SUFFIX) and not name.startswith(".")
