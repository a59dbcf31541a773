"""Which pool the settings name, and what is seen of it without opening it: for words that are to start at once."""

from __future__ import annotations

from pathlib import Path

from kiln.pools.identity import Sight, look
from kiln.pools.rbd.entrances import Address
from kiln.pools.rbd.records import look_at
from kiln.service.rules import RBD
from kiln.service.settings import Settings


def where(settings: Settings) -> str:
    """The pool, in words for the operator."""
    return settings.pool or str(settings.folder.pool)


def look_at_pool(settings: Settings) -> Sight:
    """See whose the pool is and what it holds, without changing anything.

    Raises IdentityBroken, IdentityTooNew, RecordsTooNew, OSError; of a pool on Ceph VolumeBroken, ToolFailed too.
    """
    address = address_of(settings)
    return look(settings.folder.pool) if address is None else look_at(address)


def address_of(settings: Settings) -> Address | None:
    """Where the pool is on Ceph; None where it is a folder."""
    found = RBD.fullmatch(settings.pool)
    if found is None:
        return None
    return Address(
        pool=found[1],
        namespace=found[2] or "",
        configuration=Path(settings.ceph_conf).absolute() if settings.ceph_conf else None,
        user=settings.ceph_user,
    )
