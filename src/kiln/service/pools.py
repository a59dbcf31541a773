"""Which pool a Kiln has, by its settings: a folder of its data, or one on Ceph. Beside ``sights`` nobody asks which."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from kiln.pools.claims import Claims
from kiln.pools.errors import PoolError
from kiln.pools.identity import HIDDEN
from kiln.pools.qcow2 import Qcow2Pool
from kiln.pools.rbd.pool import RbdPool
from kiln.service.errors import PoolHeld, PoolUnusable
from kiln.service.settings import Settings
from kiln.service.sights import address_of

KilnsPool = Qcow2Pool | RbdPool

_SERVED = "served"  #: A claim's name, which no volume has.


def open_pool(settings: Settings, *, is_kept_as_it_is: bool = False) -> KilnsPool:
    """The pool of a Kiln, which is made when it is not there, unless it is only to be looked at.

    Raises PoolUnusable, OSError.
    """
    address = address_of(settings)
    if address is None:
        return Qcow2Pool(settings.folder.pool, is_kept_as_it_is=is_kept_as_it_is)
    scratch = settings.folder.pool
    if not is_kept_as_it_is:
        scratch.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        pool = RbdPool(address, scratch)
        pool.identity()  # Whether there is a way to it is known now, and not by the first task.
    except PoolError as error:
        raise PoolUnusable(str(error)) from error
    return pool


@contextmanager
def hold_pool(settings: Settings) -> Iterator[None]:
    """Keep every Kiln with another database out of a pool in a folder, by whichever data folder it comes.

    A copied data folder, or a link to the pool, leads two Kilns to one pool, and each would take what the other has
    made for nobody's. SQLite is one process's, who holds the pool alone; those with PostgreSQL, which holds them off
    itself, share it. Nothing is held where there is no pool yet. Raises PoolHeld, PoolUnusable.
    """
    folder = settings.folder.pool
    if settings.pool or not folder.is_dir():
        yield
        return
    claims = Claims(folder / HIDDEN)
    try:
        try:
            is_ours = claims.share(_SERVED) if settings.database else claims.hold(_SERVED)
        except OSError as error:
            raise PoolUnusable(f"{error.filename or folder}: {error.strerror}") from error
        if not is_ours:
            raise PoolHeld(f"another Kiln works with the pool in {folder}")
        yield
    finally:
        claims.close()
