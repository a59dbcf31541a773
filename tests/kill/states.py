"""What a kill at a point leaves: all that lies in a folder at that moment, kept beside what lay there at others.

What is killed has one thread and no tool at work, so that nothing changes while it
is looked at, and its end changes nothing either: what it had written is in the
kernel, and what it had not is nowhere. ``Driver`` holds that against real deaths.

Two moments between which nothing was changed are one state. Files are kept by
what is in them, since from one point to the next most of them stay as they are.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

#: An index of the log of SQLite's, which whoever opens a database that nobody has open makes anew.
_INDEX = "-shm"


@dataclass(frozen=True)
class Entry:
    """One name in a folder. *content*: of a file its digest, of a link where it leads."""

    name: str
    mode: int
    owner: tuple[int, int]
    changed_at_ns: int
    attributes: tuple[tuple[str, bytes], ...]
    content: str
    first: str  #: The first name of the same file.


State = tuple[Entry, ...]


class Shelf:
    """States of folders, in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self._folder = folder
        self._kept: set[str] = set()

    def take(self, folder: Path) -> State:
        """What is in *folder* now."""
        firsts: dict[int, str] = {}
        return tuple(self._entry(f"{folder}/{name}", name, firsts) for name in [".", *_names(str(folder))])

    def lay_out(self, state: State, folder: Path) -> None:
        """Make *folder* anew, with all that there was."""
        shutil.rmtree(folder, ignore_errors=True)
        for one in state:
            path = folder / one.name
            if stat.S_ISDIR(one.mode):
                path.mkdir()
            elif one.first != one.name:
                os.link(folder / one.first, path, follow_symlinks=False)
            elif stat.S_ISLNK(one.mode):
                path.symlink_to(one.content)
            else:
                shutil.copyfile(self._folder / one.content, path)
        for one in reversed(state):  # A folder after what is in it, which changes when it was changed.
            path = folder / one.name
            if not stat.S_ISLNK(one.mode):
                os.chown(path, *one.owner)
                path.chmod(stat.S_IMODE(one.mode))
            for name, value in one.attributes:
                os.setxattr(path, name, value, follow_symlinks=False)
            os.utime(path, ns=(one.changed_at_ns, one.changed_at_ns), follow_symlinks=False)

    def _entry(self, path: str, name: str, firsts: dict[int, str]) -> Entry:
        found = os.lstat(path)
        first = name if stat.S_ISDIR(found.st_mode) else firsts.setdefault(found.st_ino, name)
        return Entry(
            name=name,
            mode=found.st_mode,
            owner=(found.st_uid, found.st_gid),
            changed_at_ns=0 if name.endswith(_INDEX) else found.st_mtime_ns,
            attributes=tuple(
                (key, os.getxattr(path, key, follow_symlinks=False))
                for key in sorted(os.listxattr(path, follow_symlinks=False))
            ),
            content=self._content(path, found.st_mode) if first == name else "",
            first=first,
        )

    def _content(self, path: str, mode: int) -> str:
        if stat.S_ISDIR(mode):
            return ""
        if stat.S_ISLNK(mode):
            return str(Path(path).readlink())
        assert stat.S_ISREG(mode), f"{path} is none of those that a Kiln without machines makes"
        held = b"" if path.endswith(_INDEX) else Path(path).read_bytes()
        digest = hashlib.sha256(held).hexdigest()
        if digest not in self._kept:
            kept = self._folder / digest
            draft = kept.with_suffix(f".{os.getpid()}")
            draft.write_bytes(held)
            draft.rename(kept)
            self._kept.add(digest)
        return digest


def _names(folder: str, below: str = "") -> Iterator[str]:
    """All that is in a folder, each after the folder that it is in."""
    with os.scandir(folder) as found:
        entries = sorted(found, key=lambda entry: entry.name)
    for entry in entries:
        yield below + entry.name
        if entry.is_dir(follow_symlinks=False):
            yield from _names(entry.path, f"{below}{entry.name}/")


def is_alone() -> bool:
    """Whether this process has one thread and no child, so that nothing goes on when it is stopped."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return sum(1 for _ in Path("/proc/self/task").iterdir()) == 1
    return False
