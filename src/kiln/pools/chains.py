"""A volume and all that it stands on, for QEMU's tools to read: these very files and no others.

A machine's QEMU that was broken may write whatever it has open for as long as it
lives, also a header, and so the name of another file, which a tool that runs as
Kiln would follow to wherever it leads. So a tool never finds what is below a
volume by itself: the headers are read here, where only names of volumes are
taken, every file is handed over open, and what was read while one of them was
written is not kept.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from kiln.ground.passphrases import Passphrase
from kiln.ground.values import dataclass
from kiln.pools import luks, nodes, overlay, qemu_img
from kiln.pools.errors import VolumeBroken, VolumeBusy, VolumeMissing
from kiln.pools.family import SUFFIX, parent_of

#: Of a volume and what its headers say that it stands on; raises VolumeBroken when that cannot be.
Kin = Callable[[str, Sequence[str]], None]


@dataclass(frozen=True)
class Chain:
    """The open files of a chain, the lowest first."""

    names: tuple[str, ...]
    fds: tuple[int, ...]
    passphrases: tuple[Passphrase | None, ...]

    def node(self, *, direct: bool = False) -> qemu_img.Node:
        """What reads as the uppermost; ``fds`` must be given to the tool."""
        node = self.below(0, direct=direct)
        assert node is not None  # A chain has at least the volume itself.
        return node

    def below(self, uppermost: int, *, direct: bool = False) -> qemu_img.Node | None:
        """As ``node``, of what is below so many of the uppermost; None where that is nothing."""
        node: qemu_img.Node | None = None
        whole = list(zip(self.fds, self.passphrases, strict=True))
        for fd, passphrase in whole[: len(whole) - uppermost]:
            cache = {"direct": direct}
            file = qemu_img.held_open(fd) | {"cache": cache}
            over = {"driver": "qcow2", "read-only": True, "cache": cache, "file": file, "backing": node}
            node = over | nodes.encrypted(passphrase)
        return node


@contextlib.contextmanager
def held(path: Path, kin: Kin = lambda _, __: None, keys: luks.Keys = luks.no_keys) -> Iterator[Chain]:
    """The chain under the volume at *path*, which nobody writes; *kin* says no to one that cannot be.

    *keys* tells the passphrases of what is encrypted. Raises VolumeMissing, VolumeLocked, VolumeBroken also when the
    body is done and a file of it was written meanwhile, and VolumeBusy when one was merged at this moment.
    """
    names: list[str] = []
    with contextlib.ExitStack() as opened:
        fds: list[int] = []
        passphrases: list[Passphrase | None] = []
        below: str | None = path.stem
        while below is not None:
            if below in names:
                raise VolumeBroken(f"{below} stands on itself")
            file = path.with_name(below + SUFFIX)
            try:
                fds.append(fd := os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC))
            except FileNotFoundError:
                raise VolumeMissing(below) from None
            opened.callback(os.close, fd)
            names.append(below)
            lock = overlay.read(file).lock
            passphrases.append(None if lock is None else luks.open_lock(lock, below, keys))
            below = parent_of(file)
            if not os.path.samestat(os.fstat(fd), file.stat()):
                raise VolumeBusy(f"{file.stem} was merged while its chain was read")
        # Not the time of the last change, which is also that of an access list. That of the last write can be set
        # by a file's owner alone, who is Kiln.
        before = [_stamp(fd) for fd in fds]
        # What the headers say is known to be so from here on only if they say it still.
        if [parent_of(path.with_name(name + SUFFIX)) for name in names] != [*names[1:], None]:
            raise VolumeBusy(f"{path.stem} was merged while its chain was read")
        kin(path.stem, names[1:])
        yield Chain(tuple(reversed(names)), tuple(reversed(fds)), tuple(reversed(passphrases)))
        for name, fd, stamp in zip(names, fds, before, strict=True):
            if _stamp(fd) != stamp:
                raise VolumeBroken(f"{name} was written while it was read")


def _stamp(fd: int) -> tuple[int, int]:
    found = os.fstat(fd)
    return found.st_size, found.st_mtime_ns
