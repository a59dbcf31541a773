"""Whether the database and the pool belong together, looked at before anything is opened for writing.

Both bear the deployment's identity and its generation, which every start makes
greater by one: the pool notes the next one, the database commits it, the pool
takes it over. So a kill between any two of these is told from an old copy of
either. Within a generation an older database is told by the batches of records
that it knows less of than the pool, and by volumes of which it knows nothing: a
row is there before its file, and goes after it.
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from kiln.declare.ids import new_request_id, pattern
from kiln.ground.journal import Journal
from kiln.ground.killpoints import reach
from kiln.ground.units import counted
from kiln.ground.values import dataclass
from kiln.pools.errors import IdentityBroken, IdentityTooNew, PoolError, PoolFull, RecordsTooNew
from kiln.pools.identity import Sight
from kiln.pools.port import Generation, Identity, Pool
from kiln.service.claim import require_shared
from kiln.service.errors import CephUnusable, DatabaseUnusable, DeploymentRefused, PoolUnusable
from kiln.service.settings import Settings
from kiln.service.sights import look_at_pool, where
from kiln.store import deployment
from kiln.store.database import Database
from kiln.store.deployment import Deployment
from kiln.store.errors import DatabaseDown, DatabaseFull
from kiln.store.glance import (
    Glance,
    glance_at_postgresql,
    glance_at_sqlite,
    refuse_newer_postgresql,
    refuse_newer_sqlite,
    version_of_postgresql,
    version_of_sqlite,
)
from kiln.store.schema import SchemaTooNew

_LOOKS = 5  #: While a server beside us starts, the two are seen at different moments.
_LOOK_AGAIN_S = 0.1
_SAID_MOST = 3

_OURS = re.compile(pattern("volume"))

_REBUILD = "`kiln fsck --rebuild` writes the rows again from what the pool has"
_WAYS_OUT = f"Put the newer copy of it back, with its -wal file; or {_REBUILD}."

log = Journal("kiln.service")


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Both sides, as they were seen. No database is one in which there is nothing."""

    database: Glance | None
    pool: Sight

    @property
    def strays(self) -> list[str]:
        """Volumes in the pool that are named as ours and have no row."""
        known = frozenset() if self.database is None else self.database.volumes
        return sorted(volume for volume in self.pool.volumes - known if _OURS.fullmatch(volume))


def see(settings: Settings) -> Pair:
    """Look at both sides. Raises DeploymentRefused as ``see_pool`` does, and for IdentityBroken; DatabaseUnusable."""
    try:
        pool = see_pool(settings)
    except IdentityBroken as error:
        raise DeploymentRefused(f"{where(settings)}: {error}. {_REBUILD}, and its identity.") from error
    return Pair(database=see_database(settings), pool=pool)


def see_pool(settings: Settings) -> Sight:
    """Look at the pool alone.

    Raises IdentityBroken, and DeploymentRefused when a newer Kiln wrote what it has, or a restore was cut short.
    Raises SharedFolderRefused, DataFolderRefused where the folder that it is shared by is missing, or no Kiln's;
    PoolUnusable where nobody can look, which says nothing of who wrote what there is.
    """
    require_shared(settings.folder)
    try:
        return look_at_pool(settings)
    except IdentityBroken:
        raise
    except (IdentityTooNew, RecordsTooNew) as error:
        raise DeploymentRefused(f"{where(settings)}: {error}. Use that Kiln, or a newer one.") from error
    except PoolError as error:
        raise (CephUnusable if settings.pool else PoolUnusable)(str(error)) from error


def see_database(settings: Settings) -> Glance | None:
    """Look at the database alone; None when there is none. Raises DatabaseUnusable."""
    with _where_it_is(settings):
        if settings.database:
            return glance_at_postgresql(settings.server)
        return glance_at_sqlite(settings.folder.database)


def version_there(settings: Settings) -> str | None:
    """The version of the database's tables, of which nothing is changed; None where there are none.

    Raises DatabaseUnusable.
    """
    with _where_it_is(settings):
        if settings.database:
            return version_of_postgresql(settings.server)
        return version_of_sqlite(settings.folder.database)


def refuse_newer(settings: Settings) -> None:
    """Raise DatabaseUnusable when a newer Kiln has migrated the database; before anything is made or changed.

    Of one that does not answer whoever opens it says so.
    """
    with _where_it_is(settings), suppress(DatabaseDown):
        if settings.database:
            refuse_newer_postgresql(settings.server)
        else:
            refuse_newer_sqlite(settings.folder.database)


@contextmanager
def _where_it_is(settings: Settings) -> Iterator[None]:
    try:
        yield
    except (DatabaseDown, SchemaTooNew) as error:
        where = "the database" if settings.database else settings.folder.database
        raise DatabaseUnusable(f"{where}: {error}") from error


def require_pair(settings: Settings, *, strays: bool) -> None:
    """Raise DeploymentRefused unless the two belong together and neither is older; nothing is changed.

    With *strays* also when the pool has volumes that the database knows nothing
    of; without, only when that shows it to be older.
    """
    for _ in range(_LOOKS - 1):
        refusal = refuse(see(settings), strays=strays)
        if refusal is None:
            return
        time.sleep(_LOOK_AGAIN_S)
    refusal = refuse(see(settings), strays=strays)
    if refusal is not None:
        raise DeploymentRefused(refusal)


def refuse(pair: Pair, *, strays: bool) -> str | None:
    """Why the two cannot be used together, and the ways out; None when they can."""
    database, pool = pair.database, pair.pool
    if database is None or database.is_empty:
        refusal = _refuse_nothing(database, pool, len(pair.strays))
        if refusal is not None or database is None:
            return refusal
    refusal = _refuse_identity(database.deployment, pool.identity)
    if refusal is None and pool.records is not None and database.deployment is not None:
        refusal = _refuse_records(database, database.deployment, pool)
    if refusal is None and pair.strays and strays:
        some = ", ".join(pair.strays[:_SAID_MOST]) + (" and others" if len(pair.strays) > _SAID_MOST else "")
        refusal = (
            f"the pool has {counted(len(pair.strays), 'volume')} of which the database knows nothing ({some}), "
            f"so the database is older than the pool. {_WAYS_OUT} If it is the right one, `kiln fsck` moves them out "
            "of the way."
        )
    return refusal


def _refuse_nothing(database: Glance | None, pool: Sight, count: int) -> str | None:
    """Of a database in which there is nothing: it is new, or somebody lost it."""
    what = "there is no database" if database is None else "the database is empty"
    if count:
        return f"{what}, but the pool holds {counted(count, 'volume')}. {_WAYS_OUT}"
    if database is not None and database.deployment is not None:
        return None
    if pool.identity is not None and pool.identity.generation.number > 0:
        return f"{what}, but the pool is that of {_said(pool.identity)}. {_WAYS_OUT}"
    return None


def _refuse_identity(known: Deployment | None, borne: Identity | None) -> str | None:
    if known is None:
        if borne is None or borne.generation.number == 0:
            return None
        return (
            f"the pool is that of {_said(borne)}, and the database bears no identity: "
            f"it is older than the pool, or of another Kiln. {_WAYS_OUT}"
        )
    if borne is None:
        return (
            f"the database is of deployment {known.id} in generation {known.generation}, and the pool bears no "
            f"identity: it is another one, an older one, or not mounted. Put the pool back that belongs to it; or, if "
            f"it is the right one, {_REBUILD} and gives it its identity."
        )
    return _refuse_generation(known, borne)


def _refuse_generation(known: Deployment, borne: Identity) -> str | None:
    """Of two sides that both say whose they are."""
    if borne.deployment != known.id:
        return (
            f"the database is of deployment {known.id}, the pool of deployment {borne.deployment}: "
            f"they do not belong together. Name the right --data, --shared and --database, or put the right copy back."
        )
    mine = Generation(known.generation, known.mark)
    if mine in (borne.generation, borne.next):
        return None
    if known.generation > borne.generation.number:
        return (
            f"the pool is older than the database: it is in generation {borne.generation.number}, the database in "
            f"generation {known.generation}. Put the newer copy of the pool back, or the copy of the database that "
            f"belongs to this pool; `kiln fsck --rebuild` goes on with what both have, and says what is lost."
        )
    if known.generation < borne.generation.number:
        return (
            f"the database is older than the pool: it is in generation {known.generation}, the pool in generation "
            f"{borne.generation.number}. {_WAYS_OUT}"
        )
    return (
        f"the database and the pool are both in generation {known.generation} of deployment {known.id}, but of two "
        f"copies that were both started: they do not belong together. Put the copy back that belongs to the other."
    )


def _refuse_records(database: Glance, known: Deployment, pool: Sight) -> str | None:
    assert pool.records is not None  # Asked for only where there are some.
    if pool.records.deployment not in ("", known.id):
        return (
            f"the pool's records are of deployment {pool.records.deployment}, the database of deployment {known.id}. "
            f"Put the folder .kiln of the pool back as it was."
        )
    if pool.records.batch > database.batch:
        return (
            f"the database is older than the pool: it knows {counted(database.batch, 'batch', 'batches')} of records, "
            f"the pool has {pool.records.batch}. {_WAYS_OUT}"
        )
    return None


def _said(identity: Identity) -> str:
    return f"deployment {identity.deployment} in generation {identity.generation.number}"


def advance(database: Database, pool: Pool, now: float) -> Deployment:
    """Begin the next generation of both, which ``require_pair`` has let pass; returns the one that was begun.

    May be killed at any line. On a full disk the present one goes on. Raises
    DatabaseFull where there is none yet; DeploymentRefused where another Kiln has begun one of the pool since.
    """
    with database.read() as tx:
        known = deployment.find(tx)
    borne = pool.identity()
    if (refusal := _refuse_identity(known, borne)) is not None:
        raise DeploymentRefused(refusal)
    name = known.id if known else borne.deployment if borne else new_request_id().lower()
    present = Generation(known.generation, known.mark) if known else Generation(0, "")
    begun = Generation(present.number + 1, secrets.token_hex(8))
    created_at = known.created_at if known else now
    after = Deployment(id=name, generation=begun.number, mark=begun.mark, created_at=created_at)
    try:
        reach("pairing.before")
        pool.identify(Identity(name, present, begun))
        reach("pairing.noted")
        database.write(lambda tx: deployment.put(tx, after))
        reach("pairing.committed")
        pool.identify(Identity(name, begun))
        reach("pairing.done")
    except (DatabaseFull, PoolFull):
        with database.read() as tx:
            reached = deployment.find(tx)
        if reached is None:
            raise
        log.exception("database_full", left="the next generation; the present one goes on")
        return reached
    return after


def join(database: Database) -> Deployment:
    """The generation that others have begun, who are at work in it. Raises DeploymentRefused where there is none."""
    with database.read() as tx:
        known = deployment.find(tx)
    if known is None:
        raise DeploymentRefused("others work with the database, and it bears no identity yet. Try again in a moment.")
    return known
