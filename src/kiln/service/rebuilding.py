"""``kiln fsck --rebuild``: database and pool are made to fit each other again, from what both have."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import field

from kiln.declare.ids import new_request_id
from kiln.ground.killpoints import reach
from kiln.ground.values import dataclass
from kiln.pools.errors import IdentityBroken
from kiln.pools.identity import HIDDEN, Sight
from kiln.pools.port import Generation, Identity
from kiln.pools.records import summarise
from kiln.service.accounts import Keys, keys_where_none_are
from kiln.service.assemble import Assembly, assemble_unpaired
from kiln.service.errors import DeploymentRefused
from kiln.service.pairing import Pair, see_database, see_pool
from kiln.service.settings import Settings
from kiln.store import deployment
from kiln.store.database import Transaction
from kiln.store.deployment import Deployment
from kiln.store.glance import Glance
from kiln.upkeep.rebuild import Rebuilt, rebuild
from kiln.upkeep.recorder import Recorder

_FEWEST = Generation(0, "")


@dataclass
class Outcome:
    """What a rebuild did, and the keys that it had to make."""

    rebuilt: Rebuilt
    deployment: Deployment
    keys: list[Keys] = field(default_factory=list)


@contextmanager
def rebuilt(settings: Settings) -> Iterator[tuple[Assembly, Outcome]]:
    """Rebuild in the data folder, which the caller holds; yields what was made, for fsck to look at.

    May be killed at any line and run again. Raises DeploymentRefused when the two
    halves are of two deployments, or of two copies that were both started: what
    they have cannot be put together. Raises DatabaseUnusable.
    """
    pool, borne = _see_pool(settings)
    pair = Pair(database=see_database(settings), pool=pool)
    _require_kin(pair, borne)
    with assemble_unpaired(settings) as it:
        it.pool.sweep()
        outcome = _write(it, pair, borne)
        outcome.keys = keys_where_none_are(it.database, it.sealer, settings, it.ports.clock())
        reach("rebuild.keys_made")
        yield it, outcome


def is_database_older(pair: Pair, borne: Identity | None) -> bool:
    """Whether the pool's records are newer than what the database says, or the database is none."""
    known, records = pair.database, pair.pool.records
    if known is None or known.is_empty or known.deployment is None:
        return True
    if borne is not None and known.deployment.generation < borne.generation.number:
        return True
    return records is not None and records.batch > known.batch


def _see_pool(settings: Settings) -> tuple[Sight, Identity | None]:
    """The pool, also where nobody can read any more whose it is. Raises DeploymentRefused."""
    try:
        seen = see_pool(settings)
    except IdentityBroken as error:
        if settings.pool:
            raise DeploymentRefused(f"{settings.pool}: {error}") from error
        folder = settings.folder.pool
        names = (path.stem for path in folder.glob("*.qcow2") if not path.name.startswith("."))
        seen = Sight(identity=None, volumes=frozenset(names), records=summarise(folder / HIDDEN))
    return seen, seen.identity


def _require_kin(pair: Pair, borne: Identity | None) -> None:
    if (pair.database is None or pair.database.is_empty) and pair.pool.records is None and pair.pool.volumes:
        raise DeploymentRefused(
            "there is no database, and the pool has no records of what its volumes belong to: nothing can be written "
            "again. Put the database back; without it the volumes can only be imported, one by one, as qcow2 files."
        )
    known = pair.database.deployment if pair.database is not None else None
    said = {known.id if known else None, borne.deployment if borne else None}
    said.add(pair.pool.records.deployment or None if pair.pool.records is not None else None)
    if len(said - {None}) > 1:
        raise DeploymentRefused(
            "the database, the pool and its records are of more than one deployment "
            f"({', '.join(sorted(name for name in said if name))}): what they have cannot be put together."
        )
    if known and borne and known.generation == borne.generation.number and known.mark != borne.generation.mark:
        raise DeploymentRefused(
            "the database and the pool are of two copies that were both started: what they have cannot be put together."
        )


def _write(it: Assembly, pair: Pair, borne: Identity | None) -> Outcome:
    known = pair.database.deployment if pair.database is not None else None
    records = pair.pool.records
    name = known.id if known else borne.deployment if borne else records.deployment if records else ""
    present = borne.generation if borne else _FEWEST
    number = 1 + max(known.generation if known else 0, present.number)
    created_at = known.created_at if known else it.ports.clock()
    after = Deployment(
        id=name or new_request_id().lower(), generation=number, mark=secrets.token_hex(8), created_at=created_at
    )
    is_older = is_database_older(pair, borne) or any(it.pool.records.get("volume", one) for one in pair.strays)
    batch = max(records.batch if records else 0, _batch(pair.database))

    def work(tx: Transaction) -> Rebuilt:
        done = rebuild(tx, it.ports, is_database_older=is_older)
        deployment.put(tx, after)
        deployment.put_batch(tx, batch)
        return done

    begun = Generation(after.generation, after.mark)
    reach("rebuild.before")
    it.pool.identify(Identity(after.id, present, begun))
    reach("rebuild.noted")
    done = it.database.write(work)
    reach("rebuild.committed")
    it.pool.identify(Identity(after.id, begun))
    reach("rebuild.done")
    recorder = Recorder(it.database, it.pool.records, after.id)
    recorder.compare()
    recorder.flush()
    reach("rebuild.recorded")
    return Outcome(rebuilt=done, deployment=after)


def _batch(known: Glance | None) -> int:
    return 0 if known is None else known.batch
