"""The folder in which backups lie beside each other, each named for its moment."""

from __future__ import annotations

import re
import stat
from pathlib import Path

from kiln.ground.clock import to_seconds_text
from kiln.service.backups import manifest
from kiln.service.backups.errors import BackupBroken, BackupRefused, NoBackup
from kiln.service.backups.manifest import Manifest

DRAFT = ".tmp-backup"  #: What a killed one leaves; the next takes it away.

_BESIDE = (DRAFT, "lost+found")  #: What may lie beside backups.
_MOMENT = len("20261129T123456Z")
_NAME = re.compile(r"\d{8}T\d{6}Z(-\d+)?")


def moment_text(when: float) -> str:
    """A moment as backups are named: ``20261129T123456Z``."""
    return to_seconds_text(when).replace("-", "").replace(":", "")


def name_for(folder: Path, moment: str) -> str:
    """A name that is later than all that are there, though the clock was set back since, or some were removed."""
    there = names(folder)
    number, name = 1, moment
    if there and moment <= there[-1][:_MOMENT]:
        moment, number = _order(there[-1])
        name = there[-1]
    while (folder / name).exists():
        number += 1
        name = f"{moment}-{number}"
    return name


def names(folder: Path) -> list[str]:
    """The backups in the folder, the oldest first."""
    found = [path.name for path in folder.iterdir() if _NAME.fullmatch(path.name) and path.is_dir()]
    return sorted(found, key=_order)


def _order(name: str) -> tuple[str, int]:
    """The moment of a backup, and which of that moment's it is."""
    return name[:_MOMENT], int(name[_MOMENT + 1 :] or 1)


def require_home(folder: Path) -> None:
    """Raise BackupRefused where the folder holds what is no backup, or a draft that no backup has left."""
    draft = folder / DRAFT
    # What it leads to is somebody else's, and as a backup it would be a link to what the next one takes away.
    if draft.is_symlink() or (draft.exists() and not stat.S_ISDIR(draft.lstat().st_mode)):
        raise BackupRefused(f"{draft} is no folder that a backup was drafted in", "Move it elsewhere.")
    others = sorted(
        path.name for path in folder.iterdir() if not _NAME.fullmatch(path.name) and path.name not in _BESIDE
    )
    if others:
        raise BackupRefused(
            f"{folder} holds other things ({', '.join(others[:3])})", "Name a folder for backups alone."
        )


def latest(folder: Path) -> tuple[Path, Manifest] | None:
    """The newest backup in the folder that can be read; None where there is none."""
    for name in reversed(names(folder)):
        try:
            return folder / name, manifest.read(folder / name)
        except (BackupBroken, BackupRefused, OSError):
            continue  # Nothing is shared with what cannot be read.
    return None


def listed(path: Path) -> list[Path]:
    """The backups that *path* names: one, or all in a folder of them, the oldest first; none in an empty folder.

    Raises NoBackup.
    """
    if not path.is_dir():
        raise NoBackup(f"{path} is {'no folder' if path.exists() else 'not there'}")
    if (path / manifest.FILE).exists():
        return [path]
    found = [path / name for name in names(path)]
    if not found and any(one.name not in _BESIDE for one in path.iterdir()):
        raise NoBackup(f"{path} is no backup, and there is none in it")
    return found


def chosen(path: Path) -> Path:
    """The backup that *path* names: one, or of a folder of them the newest. Raises NoBackup."""
    found = listed(path)
    if not found:
        raise NoBackup(f"there is no backup in {path}")
    return found[-1]
