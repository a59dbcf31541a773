"""The key of encrypted volumes: 32 bytes beside the database, readable by their owner alone.

Which key of an account a volume is encrypted with stands in the volume's header, and
the passphrase is made of that, of random bytes there, and of this one secret. So a
volume that is deleted takes the half of its passphrase along, no row keeps any, and
a database that is lost, or written again from the pool's records, needs none.

A machine whose QEMU was taken over may write into the header of its own volume that it
has somebody else's key. So the rows are asked, too: which key a volume has is the same
for all that stands on it, and where a disk or a snapshot says another, none is told.

It is not the master key: that may be lost, or be replaced, and only secrets go with it.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Collection
from pathlib import Path

from kiln.ground.journal import Journal
from kiln.pools.headers import is_any_encrypted
from kiln.pools.luks import Keys
from kiln.service.errors import SecretBroken
from kiln.service.secrets import Sealer
from kiln.store.database import Database
from kiln.store.disks import disks
from kiln.store.images import image_disks
from kiln.store.snapshots import snapshots

NAME = "volumes.key"

log = Journal("kiln.service")


def passphrases(folder: Path, said_of: Callable[[str], Collection[str]]) -> Keys:
    """What tells the passphrases of the volumes of a data folder; None of any while their key is not there.

    *said_of* tells which keys the rows say that a volume has, as ``keys_in`` of ``kiln.store.volumes``.
    """
    sealer = _in_folder(folder)

    def of_all(key: str, nonce: bytes, _: str) -> str | None:
        try:
            return hmac.digest(sealer.derived("volumes"), key.encode() + b"\0" + nonce, "sha256").hex()
        except SecretBroken:
            return None

    return of_own(of_all, said_of)


def of_own(keys: Keys, said_of: Callable[[str], Collection[str]]) -> Keys:
    """What tells as *keys* does, but of no volume of which the rows say that it has another key."""

    def tell(key: str, nonce: bytes, volume: str) -> str | None:
        if volume and any(said != key for said in said_of(volume)):
            log.error("volume_of_another_key", volume=volume, key=key, reason="its header was changed")
            return None
        return keys(key, nonce, volume)

    return tell


def ensure(folder: Path, database: Database, pool: Path) -> None:
    """Make the key where nothing was encrypted with one yet; where it is lost, say so and change nothing.

    The database may be lost with it, or an older copy, and what was deleted has no row: the pool is asked, too.
    """
    sealer = _in_folder(folder)
    if sealer.path.exists():
        return
    with database.read() as tx:
        is_needed = any(rows.count(tx, rows.c.kms_key != "") for rows in (disks, snapshots, image_disks))
    if not is_needed and not is_any_encrypted(pool):
        sealer.make_key()
    else:
        log.error(
            "volumes_key_missing",
            path=str(sealer.path),
            reason="encrypted disks and images cannot be read until it is put back, from a copy of it",
        )


def is_missed(folder: Path, pool: Path) -> bool:
    """Whether volumes in the pool are encrypted, and the key is not there."""
    return not (folder / NAME).exists() and is_any_encrypted(pool)


def _in_folder(folder: Path) -> Sealer:
    return Sealer(folder / NAME)
