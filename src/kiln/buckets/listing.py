"""The objects of a bucket that is a folder, in the order of their names, a page at a time.

A folder is read whole and put in order, and those below it only as far as the
page reaches: what a page costs depends on the folders that it comes from, and
not on how many objects lie before or behind it.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager, suppress

from kiln.buckets.facts import ObjectFacts, known
from kiln.buckets.port import PARTIAL, is_object_name
from kiln.ground.values import dataclass


@dataclass(frozen=True, kw_only=True)
class Listed:
    """One object of a page."""

    name: str
    size_bytes: int
    modified_at: float
    facts: ObjectFacts


@dataclass(frozen=True, kw_only=True)
class Page:
    """Some objects, and what stands for those whose names go on alike behind the delimiter."""

    objects: list[Listed]
    prefixes: list[str]
    next: str  #: Behind which name the next page begins; "" where there is none.


def page(folder: int, *, prefix: str = "", after: str = "", delimiter: str = "", most: int = 100) -> Page:
    """The first *most* names behind *after* of the open *folder* that begin with *prefix*.

    Names in which *delimiter* follows the prefix count as one, up to it.
    """
    wanted = _Wanted(prefix, after)
    objects: list[Listed] = []
    prefixes: list[str] = []
    last = ""
    with closing(_walk(folder, "", wanted)) as found_names:
        for name, at, own_name in found_names:
            end = name.find(delimiter, len(prefix)) if delimiter else -1
            rolled = name[: end + len(delimiter)] if end >= 0 else ""
            if rolled and rolled <= after:
                wanted.skip = rolled
                continue
            if len(objects) + len(prefixes) >= most:
                return Page(objects=objects, prefixes=prefixes, next=last)
            if rolled:
                wanted.skip = rolled
                prefixes.append(rolled)
                last = rolled
                continue
            with suppress(FileNotFoundError):  # It went meanwhile.
                found = os.stat(own_name, dir_fd=at, follow_symlinks=False)
                facts = known(f"/proc/self/fd/{at}/{own_name}", found)
                objects.append(Listed(name=name, size_bytes=found.st_size, modified_at=found.st_mtime, facts=facts))
                last = name
    return Page(objects=objects, prefixes=prefixes, next="")


class _Wanted:
    """Which names are: those with the prefix, behind *after*, and without *skip* at their beginning."""

    def __init__(self, prefix: str, after: str) -> None:
        self.prefix = prefix
        self.after = after
        self.skip = ""

    def has(self, name: str) -> bool:
        return name.startswith(self.prefix) and name > self.after and not self._skips(name)

    def may_have_below(self, folder: str) -> bool:
        """Whether one of the names that begin with *folder* may be."""
        is_alike = folder.startswith(self.prefix) or self.prefix.startswith(folder)
        return is_alike and (folder > self.after or self.after.startswith(folder)) and not self._skips(folder)

    def _skips(self, name: str) -> bool:
        return bool(self.skip) and name.startswith(self.skip)


def _walk(folder: int, above: str, wanted: _Wanted) -> Generator[tuple[str, int, str]]:
    """Names in their order, each with the folder that it lies in, open, and what it is called there."""
    for name, own_name, is_folder in sorted(_entries(folder, above)):
        if not is_folder:
            if wanted.has(name):
                yield name, folder, own_name
        elif wanted.may_have_below(name):
            # A folder that went, became a link, or is closed to Kiln has nothing to show.
            with suppress(FileNotFoundError, NotADirectoryError, PermissionError), _opened(own_name, folder) as below:
                yield from _walk(below, name, wanted)


def _entries(folder: int, above: str) -> Iterator[tuple[str, str, bool]]:
    """What lies in a folder and may be an object, or hold some: a folder's name ends with a slash, and is ordered so.

    A name that no object may have is that of somebody else's file.
    """
    with os.scandir(folder) as entries:
        for entry in entries:
            name = f"{above}{entry.name}"
            if entry.name.startswith(PARTIAL) or not is_object_name(name):
                continue
            if entry.is_dir(follow_symlinks=False):
                yield f"{name}/", entry.name, True
            elif entry.is_file(follow_symlinks=False):  # No, where it went meanwhile.
                yield name, entry.name, False


@contextmanager
def _opened(name: str, folder: int) -> Iterator[int]:
    descriptor = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
