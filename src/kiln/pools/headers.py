"""What the headers of a pool's volumes say: what each stands on, and how it is encrypted."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from kiln.ground.passphrases import Passphrase
from kiln.pools import entries, luks, nodes, overlay, trash
from kiln.pools.errors import PoolError, VolumeBroken
from kiln.pools.family import parent_of
from kiln.pools.port import Succession
from kiln.pools.ready import About, Birth


class Headers:
    """Of the volumes whose files *path_of* tells. *keys* tells the passphrases of those that are encrypted."""

    def __init__(self, path_of: Callable[[str], Path], keys: luks.Keys) -> None:
        self._path_of, self._keys = path_of, keys

    def read(self, volume: str) -> overlay.Header:
        """The header. Raises VolumeMissing, VolumeBroken."""
        return overlay.read(self._path_of(volume))

    def chain(self, volume: str) -> list[str]:
        """*volume* and what the headers say that it stands on, the lowest last. Raises VolumeMissing, VolumeBroken."""
        chain: list[str] = []
        name: str | None = volume
        while name is not None:
            if name in chain:
                raise VolumeBroken(f"{name} stands on itself")
            chain.append(name)
            name = parent_of(self._path_of(name))
        return chain

    def node(self, volume: str, below: str | None, *, is_head: bool) -> dict[str, Any]:
        """The block node of a volume. Raises VolumeMissing, VolumeBroken, VolumeLocked."""
        lock = self.read(volume).lock
        passphrase = None if lock is None else luks.open_lock(lock, volume, self._keys)
        return nodes.node(self._path_of(volume), below, is_head=is_head, passphrase=passphrase)

    def passphrases_under(self, head: str) -> dict[str, Passphrase]:
        """Those of the volumes in a chain that are encrypted. Raises as ``node`` does."""
        locks = {volume: self.read(volume).lock for volume in self.chain(head)}
        return {volume: luks.open_lock(lock, volume, self._keys) for volume, lock in locks.items() if lock is not None}

    def about(self, head: str) -> About:
        """What an overlay above *head* has of it. Raises VolumeMissing, VolumeBroken, FileNotFoundError."""
        header = self.read(head)
        return About(header.size_bytes, self._path_of(head).stat().st_uid, key_of(header))

    def heir(self, disk: Succession) -> Birth:
        """What is to be born above a head. Raises as ``about`` does."""
        now = self.about(disk.head)
        return Birth(disk.heir, now.size_bytes, disk.head, now.uid, now.key)


def key_of(header: overlay.Header) -> str:
    """The key of what a volume holds, which whatever stands on it has too."""
    return "" if header.lock is None else header.lock.key


def is_any_encrypted(pool: Path) -> bool:
    """Whether a volume in the folder *pool*, or in its trash, is encrypted, as far as the headers can be read."""
    for folder in (pool, pool / trash.NAME):
        for name in (name for name, is_ours in entries.of(folder) if is_ours) if folder.is_dir() else ():
            with suppress(PoolError, OSError):
                if overlay.read(folder / name).lock is not None:
                    return True
    return False
