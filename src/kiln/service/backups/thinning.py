"""Removing older backups, so that a folder of them does not grow for ever."""

from __future__ import annotations

import shutil
from pathlib import Path

from kiln.ground.durable import sync
from kiln.ground.killpoints import reach
from kiln.service.backups import finding, manifest
from kiln.service.backups.errors import BackupBroken, BackupRefused
from kiln.service.backups.manifest import Manifest


def thin(folder: Path, keep: int, deployment: str) -> list[str]:
    """Remove the deployment's backups that are older than its *keep* newest whole ones; returns their names.

    *keep* is 1 or more, and nobody else makes a backup there meanwhile. One that missed something is not counted, or a
    machine that does not answer for a week would cost all that is whole; it goes when it is older than all that are
    kept. What cannot be read as a backup, or lies elsewhere and is linked, is neither counted nor removed. What the
    others share with one stays: their names of it are their own. May be killed at any line: one that is removed loses
    its name first, and the next backup takes away what is left. Raises OSError.
    """
    ours = {name: said for name in finding.names(folder) if (said := _of(folder / name, deployment)) is not None}
    whole = [name for name, said in ours.items() if said.is_whole]
    older = list(ours)[: list(ours).index(whole[-keep])] if len(whole) >= keep else []
    for name in older:
        reach("backup.thin.before")
        (folder / name).rename(folder / finding.DRAFT)
        sync(folder)
        reach("backup.thin.unnamed")
        shutil.rmtree(folder / finding.DRAFT)
        reach("backup.thin.removed")
    return older


def _of(path: Path, deployment: str) -> Manifest | None:
    """What a backup of the deployment says of itself; None of any other, and of none."""
    if path.is_symlink():
        return None  # Somebody has moved it to another disk, and means to keep it.
    try:
        said = manifest.read(path)
    except (BackupBroken, BackupRefused):
        return None
    return said if said.deployment == deployment else None
