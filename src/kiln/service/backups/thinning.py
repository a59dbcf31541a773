"""Removing older backups, so that a folder of them does not grow for ever."""

from __future__ import annotations

import shutil
from pathlib import Path

from kiln.ground.killpoints import reach
from kiln.service.backups import finding, manifest
from kiln.service.backups.copying import sync_folder
from kiln.service.backups.errors import BackupBroken, BackupRefused


def thin(folder: Path, keep: int, deployment: str) -> list[str]:
    """Remove all but the newest *keep* backups of the deployment, the oldest first; returns their names.

    *keep* is 1 or more, and nobody else makes a backup there meanwhile. What cannot be read as a backup, or lies
    elsewhere and is linked, is neither counted nor removed. What the others share with one stays: their names of it
    are their own. May be killed at any line: one that is removed loses its name first, and the next backup takes away
    what is left. Raises OSError.
    """
    ours = [name for name in finding.names(folder) if _is_of(folder / name, deployment)]
    older = ours[:-keep]
    for name in older:
        reach("backup.thin.before")
        (folder / name).rename(folder / finding.DRAFT)
        sync_folder(folder)
        reach("backup.thin.unnamed")
        shutil.rmtree(folder / finding.DRAFT)
        reach("backup.thin.removed")
    return older


def _is_of(path: Path, deployment: str) -> bool:
    if path.is_symlink():
        return False  # Somebody has moved it to another disk, and means to keep it.
    try:
        return manifest.read(path).deployment == deployment
    except (BackupBroken, BackupRefused):
        return False
