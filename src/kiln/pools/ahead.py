"""The names under which machines open overlays before a freeze gives those the names of volumes.

QEMU opens a file again by the name that it was told, when the next freeze makes
it one that is only read. So the name must lead to the draft while that is one,
and to the volume from then on: it is a link, in a folder that is no volume's.
Nothing but QEMU follows it. One name leads to one file for good.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from kiln.ground.killpoints import reach
from kiln.pools import locks
from kiln.pools.family import SUFFIX

_NAME = ".ahead"
_MODE = 0o711  #: As the pool's folder: who knows a name may go through.
_NEW = ".new"


class Ahead:
    """The links in one pool's folder."""

    def __init__(self, pool: Path) -> None:
        self.folder = pool / _NAME
        self._told: dict[str, str] = {}  #: By volume, the name by which a machine is known to have opened it.

    def path(self, volume: str) -> Path:
        """The link by which a machine opens what will be *volume*."""
        return self.folder / (volume + SUFFIX)

    def put(self, volume: str, draft: Path) -> None:
        """Have the link lead to a draft in the pool's folder. Raises OSError."""
        self.folder.mkdir(exist_ok=True)
        self.folder.chmod(_MODE)
        reach("pool.ahead.before")
        self.path(volume).symlink_to(Path("..") / draft.name)
        reach("pool.ahead.linked")

    def follow(self, volume: str) -> None:
        """Have the link lead to the volume, as which the draft has just been named. Raises OSError."""
        link = self.path(volume)
        new = link.with_suffix(_NEW)
        new.unlink(missing_ok=True)
        new.symlink_to(Path("..") / link.name)
        new.replace(link)
        reach("pool.ahead.followed")

    def leads_home(self, volume: str, file: Path, name: str, *, is_head: bool) -> bool:
        """Whether *name*, by which a machine has opened *volume*, leads to its *file*.

        A link of here that somebody has taken away, or bent, is put back first. A head is written by one
        machine alone: where nobody writes the file, another was put in the place of the one that is open.
        """
        if is_head and not locks.is_written(file):
            return False
        if not _is_same(name, file):
            if name != str(self.path(volume)):
                return False
            with suppress(OSError):
                self.folder.mkdir(exist_ok=True)
                self.folder.chmod(_MODE)
                self.follow(volume)
            if not _is_same(name, file):
                return False
        self._told[volume] = name
        return True

    def note(self, volume: str, name: Path) -> None:
        """Remember the name by which a machine was told to open a volume, so that it need not be asked."""
        self._told[volume] = str(name)

    def is_known_to_lead_home(self, volume: str, file: Path) -> bool:
        """As ``leads_home``, of a head and the name that is remembered; False where none is."""
        name = self._told.get(volume)
        return name is not None and self.leads_home(volume, file, name, is_head=True)

    def remove(self, volumes: Iterable[str]) -> None:
        """Take the links of volumes away that no machine has open."""
        for volume in volumes:
            self._told.pop(volume, None)
            self.path(volume).unlink(missing_ok=True)

    def sweep(self) -> None:
        """Take away what leads nowhere: by that no machine has anything open that it could open again."""
        with suppress(FileNotFoundError):
            for link in list(self.folder.iterdir()):
                if link.is_symlink() and (link.suffix == _NEW or not link.exists()):
                    link.unlink(missing_ok=True)


def _is_same(name: str, file: Path) -> bool:
    # What a machine tells may be no name at all.
    with suppress(OSError, ValueError):
        return Path(name).samefile(file)
    return False
