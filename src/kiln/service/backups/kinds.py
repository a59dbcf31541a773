"""Of which pools backups are made: those in a folder, whose files a backup links and copies."""

from __future__ import annotations

from kiln.service.backups.errors import BackupRefused
from kiln.service.settings import Settings


def require_folder(settings: Settings) -> None:
    """Raise BackupRefused where the pool is none."""
    if settings.pool:
        raise BackupRefused(
            f"the pool is {settings.pool}: it has no files that a backup could hold",
            "Ceph copies its images to another cluster by itself (`rbd mirror`, `rbd export-diff`).",
        )
