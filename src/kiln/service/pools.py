"""Which pool a Kiln has, by its settings: a folder of its data, or one on Ceph. Beside ``sights`` nobody asks which."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from kiln.pools.claims import Claims
from kiln.pools.errors import PoolError, PoolFull, VolumeBusy
from kiln.pools.identity import HIDDEN
from kiln.pools.qcow2 import Qcow2Pool
from kiln.pools.rbd.entrances import Address
from kiln.pools.rbd.pool import RbdPool
from kiln.pools.rbd.presence import PATIENCE_S, present
from kiln.service.errors import CephUnusable, PoolHeld, PoolUnusable
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
        raise CephUnusable(str(error)) from error
    return pool


@contextmanager
def in_use(pool: KilnsPool) -> Iterator[None]:
    """Work with the pool: those who share it know of that, and at the end what was made ready in it is taken away.

    Raises PoolUnusable.
    """
    try:
        if isinstance(pool, RbdPool):
            try:
                pool.make_known()
            except PoolFull:
                pass  # Who cannot be known can still delete.
            except PoolError as error:
                raise CephUnusable(str(error)) from error
        yield
    finally:
        pool.put_away()


@contextmanager
def hold_pool(settings: Settings, *, is_beside: bool = False) -> Iterator[None]:
    """Keep every Kiln with another database out of a pool, by whichever data folder it comes.

    A copied data folder, a copy of a database, or a link to the pool leads two Kilns to one pool, and each would take
    what the other has made for nobody's. With SQLite one process has the pool alone. Those with PostgreSQL share it:
    the database holds off who is not *is_beside* others of it, so on Ceph whoever else is there has another one.
    Nothing is held of a folder in which there is no pool yet. Raises PoolHeld, PoolUnusable.
    """
    address = address_of(settings)
    with ExitStack() as held:
        if address is not None:
            _enter(address, held, is_beside=is_beside)
        else:
            _claim(settings, held)
        yield


def _enter(address: Address, held: ExitStack, *, is_beside: bool) -> None:
    try:
        presence = held.enter_context(present(address))
        if not is_beside:
            presence.require_alone(PATIENCE_S)
    except VolumeBusy as error:
        raise PoolHeld(f"another Kiln works with the pool {address}: {error}") from error
    except PoolFull:
        return  # Who cannot be known can still delete.
    except PoolError as error:
        raise CephUnusable(str(error)) from error


def _claim(settings: Settings, held: ExitStack) -> None:
    folder = settings.folder.pool
    if not folder.is_dir():
        return
    claims = Claims(folder / HIDDEN)
    held.callback(claims.close)
    try:
        is_ours = claims.share(_SERVED) if settings.database else claims.hold(_SERVED)
    except OSError as error:
        raise PoolUnusable(f"{error.filename or folder}: {error.strerror}") from error
    if not is_ours:
        raise PoolHeld(f"another Kiln works with the pool in {folder}")
