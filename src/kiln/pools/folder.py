"""A folder in which files appear whole or not at all.

A file is drafted under a name of its own (``.tmp-``, who drafts it, and a UUID)
beside its final place, synced, given its name, and its folder synced. That order
survived every kill and power cut that was tried on it; what a crash leaves are
drafts of nobody who lives, which ``sweep`` removes. Knows nothing about what is in
the files.
"""

from __future__ import annotations

import contextlib
import errno
import os
import time
import uuid
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from kiln.declare.metrics import FSYNCS
from kiln.ground import durable
from kiln.ground.killpoints import reach
from kiln.pools.claims import Claims
from kiln.pools.errors import PoolClosed, PoolFull

_DRAFT = ".tmp-"
_SYNCED_AT_ONCE = 8
# EFBIG is what a limit on the size of files answers.
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_CLOSED = (errno.EROFS, errno.EACCES, errno.EPERM)


@contextlib.contextmanager
def minding_room() -> Iterator[None]:
    """Turn the system's ways of saying that there is no room into PoolFull, that it may not into PoolClosed."""
    try:
        yield
    except OSError as error:
        if error.errno in _NO_ROOM:
            raise PoolFull(os.strerror(error.errno or 0)) from error
        if error.errno in _CLOSED:
            raise PoolClosed(os.strerror(error.errno or 0)) from error
        raise


def sync(path: Path) -> None:
    """As ``durable.sync``, and have ``/metrics`` tell how long it took."""
    began = time.perf_counter()
    durable.sync(path)
    FSYNCS.observe(time.perf_counter() - began, "pool")


def is_direct(folder: Path) -> bool:
    """Whether the folder's file system is known to take reads and writes past the page cache."""
    try:
        os.close(os.open(folder, os.O_TMPFILE | os.O_WRONLY | os.O_DIRECT | os.O_CLOEXEC, 0o600))
    except OSError:
        return False
    return True


class Folder:
    """One folder, and the drafts that this process has in it. Without *claims* no other process has any there."""

    def __init__(self, path: Path, claims: Claims | None = None) -> None:
        self.path = path
        self.claims = claims
        self._drafts: set[str] = set()
        # What is synced at one time goes to the disk together: 17 new files take 4 ms, and one by one they take 42.
        self._syncing = ThreadPoolExecutor(_SYNCED_AT_ONCE, thread_name_prefix="sync")

    @contextlib.contextmanager
    def drafts(self, count: int, *, stay: bool = False) -> Iterator[list[Path]]:
        """Make *count* empty files that nobody else can open; those that are not published vanish afterwards.

        With *stay* only where the body fails; else they are there until ``give_back``.

        Raises PoolFull, also for what the body finds out.
        """
        made: list[Path] = []
        is_done = False
        with minding_room():
            prefix = _DRAFT if self.claims is None else f"{_DRAFT}{self.claims.tell()}-"
        paths = [self.path / f"{prefix}{uuid.uuid4()}" for _ in range(count)]
        self._drafts.update(path.name for path in paths)
        try:
            with minding_room():
                for path in paths:
                    reach("pool.draft.before")
                    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
                    made.append(path)
                    reach("pool.draft.made")
                yield paths
            is_done = True
        finally:
            if not (stay and is_done):
                for path in made:
                    self.give_back(path)
                self._drafts.difference_update(path.name for path in paths)

    def give_back(self, draft: Path) -> None:
        """Remove a draft of this process, unless it was published."""
        draft.unlink(missing_ok=True)
        self._drafts.discard(draft.name)

    @contextlib.contextmanager
    def draft(self) -> Iterator[Path]:
        """Make one empty file, as ``drafts`` does."""
        with self.drafts(1) as (path,):
            yield path

    def replace(self, draft: Path, name: str, *, is_synced: bool = False) -> None:
        """Give a draft its name; a file of that name is replaced. It is on the disk when this returns.

        With *is_synced* what the draft holds is there already.
        """
        if not is_synced:
            sync(draft)
        reach("pool.publish.synced")
        draft.replace(self.path / name)
        reach("pool.publish.renamed")
        self.settle()

    def publish(self, moves: Sequence[tuple[Path, str]], synced: Collection[Path] = ()) -> None:
        """Give each draft its name, on the disk when this returns; see ``name``."""
        self.name(moves, synced)
        self.settle()

    def name(self, moves: Sequence[tuple[Path, str]], synced: Collection[Path] = ()) -> set[str]:
        """Give each draft its name; what it holds is on the disk then, and the name after the next ``settle``.

        What the drafts in *synced* hold is there already. A file that has the name by
        then is whole and stays: somebody was quicker, who may have been asked for the
        same after this one was taken for dead, and what it has made may be written to.
        Returns the names of those. When one of several finds no room, those named
        before it are taken away again.
        """
        drafts = [draft for draft, _ in moves if draft not in synced]
        # One alone is synced here, since handing it to a thread takes time too.
        for _ in self._syncing.map(sync, drafts) if len(drafts) > 1 else map(sync, drafts):
            reach("pool.publish.synced")
        named: list[Path] = []
        try:
            for draft, name in moves:
                if _link(draft, self.path / name):
                    named.append(self.path / name)
                reach("pool.publish.linked")
                draft.unlink()
                reach("pool.publish.named")
        except OSError:
            for path in named:
                path.unlink(missing_ok=True)
            raise
        return {name for _, name in moves} - {path.name for path in named}

    def settle(self) -> None:
        """Have the names of everything in the folder on the disk. Raises PoolFull."""
        with minding_room():
            sync(self.path)
        reach("pool.publish.folder_synced")

    def remove(self, name: str) -> None:
        """Remove a file for good; it is no error when it is gone already."""
        reach("pool.remove.before")
        (self.path / name).unlink(missing_ok=True)
        reach("pool.remove.unlinked")
        sync(self.path)
        reach("pool.remove.folder_synced")

    def sweep(self) -> list[str]:
        """Remove the drafts of nobody who lives; returns their names. Any process may, at any time."""
        stale = self.leftovers()
        for name in stale:
            reach("pool.sweep.before")
            (self.path / name).unlink(missing_ok=True)
            reach("pool.sweep.unlinked")
        return stale

    def leftovers(self) -> list[str]:
        """The names of the drafts of nobody who lives; only a regular file can be one."""
        try:
            with os.scandir(self.path) as entries:
                drafts = [entry.name for entry in entries if _is_draft(entry)]
        except FileNotFoundError:
            return []
        return sorted(name for name in drafts if name not in self._drafts and not self._is_anybodys(name))

    def _is_anybodys(self, draft: str) -> bool:
        owner, is_borne, _ = draft.removeprefix(_DRAFT).partition("-")
        return bool(is_borne) and self.claims is not None and self.claims.is_alive(owner)


def _link(draft: Path, target: Path) -> bool:
    """Give a draft another name; False where a file has that. Raises FileExistsError where something else has."""
    try:
        # A rename would replace what is there, and not every file system has one that does not.
        os.link(draft, target)
    except FileExistsError:
        if not target.is_file():
            raise
        return False
    return True


def _is_draft(entry: os.DirEntry[str]) -> bool:
    return entry.name.startswith(_DRAFT) and entry.is_file(follow_symlinks=False)
