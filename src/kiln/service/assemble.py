"""Builds a Kiln from its settings: database, pool, machines, buckets."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from kiln.buckets.folder import FolderBuckets
from kiln.buckets.uploads import Uploads
from kiln.calls.call import Ports
from kiln.calls.elsewhere import Alone
from kiln.calls.grace import Grace
from kiln.calls.plane import Plane
from kiln.calls.quotas import QuotaWatch
from kiln.calls.tunnels import Tunnels
from kiln.declare.deployment import Deployment
from kiln.declare.roles import Role
from kiln.ground.clock import system_clock
from kiln.ground.journal import Journal
from kiln.ground.values import dataclass
from kiln.guest.trial import probe_guest
from kiln.machines.none import NoMachines
from kiln.machines.port import Machines
from kiln.machines.qemu import QemuMachines
from kiln.networks import trying
from kiln.networks.keepers import KeptNetworks
from kiln.service import volume_keys
from kiln.service.accounts import has_secrets
from kiln.service.ballast import Ballast
from kiln.service.databases import damage_told, open_database, require_there, require_whole
from kiln.service.pairing import require_pair
from kiln.service.pools import KilnsPool, in_use, open_pool
from kiln.service.records import open_with_room, pool_told
from kiln.service.secrets import Sealer
from kiln.service.settings import Settings
from kiln.service.sharing import require_fit
from kiln.service.tunnel_end import own_end
from kiln.service.upgrading import Say
from kiln.store.database import Database
from kiln.store.glance import copy_of_sqlite
from kiln.store.outbox import Outbox
from kiln.store.volumes import keys_in, lineage_in
from kiln.store.workers import serving
from kiln.upkeep import moves
from kiln.upkeep.trash import relieve
from kiln.wire.peers.asking import Asking

log = Journal("kiln.service")

#: Why instances have no networks of their own where the operator opened them; those that run with one keep it.
OPENED = "guests' networks are open, as the setting guest_network has it"


def log_upgrade(text: str) -> None:
    """Tell the log of an upgrade, where nobody listens."""
    log.warning("database_upgraded", text=text)


@dataclass(frozen=True, kw_only=True)
class Assembly:
    """A Kiln, put together but not started."""

    settings: Settings
    ports: Ports
    sealer: Sealer
    ballast: Ballast
    pool: KilnsPool
    buckets: FolderBuckets
    uploads: Uploads
    asking: Asking | None = None  #: Asks other processes, where there can be any.

    @property
    def database(self) -> Database:
        """What we know."""
        return self.ports.database


@contextmanager
def assemble(
    settings: Settings, *, strays: bool = False, say: Say | None = log_upgrade, is_quick: bool = False
) -> Iterator[Assembly]:
    """A Kiln on its data folder, which the caller holds; the database is closed at the end.

    *say* is told when the database's tables are upgraded; None: they are not made or changed,
    and neither is a master key, which is made where the database has no secrets yet. *is_quick* leaves out to
    compare each index of the database with its table, for who deletes nothing and puts nothing back.

    Raises DatabaseUnusable, PoolUnusable; and DatabaseDamaged or DeploymentRefused before anything is made or
    changed, when database and pool do not belong together, with *strays* also when
    the pool has volumes that have no row.
    """
    require_whole(settings, is_quick=is_quick)
    with pool_told(settings):
        require_pair(settings, strays=strays)
    with assemble_unpaired(settings, say=say) as it:
        yield it


@contextmanager
def assemble_unpaired(settings: Settings, *, say: Say | None = log_upgrade) -> Iterator[Assembly]:
    """As ``assemble``, of whatever is there: for what makes database and pool fit each other."""
    with damage_told(settings):
        yield from _assembled(settings, say)


def _assembled(settings: Settings, say: Say | None) -> Iterator[Assembly]:
    if say is None:
        require_there(settings)
    require_fit(settings.folder)
    sealer = Sealer.in_folder(settings.folder.shared)
    ballast = Ballast(settings.folder.ballast)
    database = open_with_room(settings, ballast, say)
    try:
        if say is not None and not has_secrets(database):
            sealer.make_key()
        with pool_told(settings):
            pool = open_pool(settings)
        pool.keys = volume_keys.passphrases(settings.folder.shared, keys_in(database))
        if say is not None:
            volume_keys.ensure(settings.folder.shared, database, settings.folder.pool)
        buckets = FolderBuckets(settings.folder.buckets)
        machines = _machines(settings)
        plane = _plane(settings, database, machines)
        asking = None if database.is_sqlite else Asking(serving, settings.host, works=Role(settings.role).works)
        ports = Ports(
            database=database,
            pool=pool,
            machines=machines,
            buckets=buckets,
            deployment=_deployment(settings),
            clock=system_clock,
            seal=sealer.seal,
            unseal=sealer.open,
            grace=Grace(settings.grace_seconds),
            quota_watch=QuotaWatch(is_shared=not database.is_sqlite),
            host=settings.host,
            is_alone=database.is_sqlite or (settings.shared is None and not settings.pool),
            outbox=Outbox(system_clock),
            may_call=settings.may_call,
            plane=plane,
            elsewhere=asking or Alone(),
        )
        ports.outbox.attach(database)
        database.hub.attach(ports.terminals)
        pool.lineage = lineage_in(database)
        pool.make_room = lambda missing_bytes: bool(relieve(ports, missing_bytes))
        try:
            with in_use(pool):
                yield Assembly(
                    settings=settings,
                    ports=ports,
                    sealer=sealer,
                    ballast=ballast,
                    pool=pool,
                    buckets=buckets,
                    uploads=Uploads(buckets),
                    asking=asking,
                )
        finally:
            if plane is not None:
                plane.close()
    finally:
        database.close()


@contextmanager
def look(settings: Settings) -> Iterator[Ports]:
    """What a Kiln is made of, to be looked at: a copy of the database, upgraded where it is old, and the pool as it is.

    Nothing in the data folder is made or changed. Raises as ``assemble`` does.
    """
    require_whole(settings)
    with pool_told(settings):
        require_pair(settings, strays=False)
        pool = open_pool(settings, is_kept_as_it_is=True)
    with damage_told(settings), tempfile.TemporaryDirectory(prefix="kiln-fsck-") as beside, ExitStack() as stack:
        copied = settings
        if not settings.database:
            copied = replace(settings, data=Path(beside))
            copy_of_sqlite(settings.folder.database, copied.folder.database)
        database = open_database(copied, None if settings.database else lambda _: None)
        stack.callback(database.close)
        pool.lineage = lineage_in(database)
        pool.keys = volume_keys.passphrases(settings.folder.shared, keys_in(database))
        yield Ports(
            database=database,
            pool=pool,
            machines=NoMachines(copied.folder.run),
            buckets=FolderBuckets(Path(beside) / "buckets"),
            deployment=Deployment(),
            clock=system_clock,
            seal=lambda secret: secret,
            unseal=lambda sealed: sealed,
            grace=Grace(settings.grace_seconds),
        )


def _deployment(settings: Settings) -> Deployment:
    return Deployment(
        regions=settings.region_ids,
        endpoint=settings.public_endpoint or settings.listen,
        resource_groups=settings.resource_group_ids,
        public_network=settings.public_network,
    )


def _machines(settings: Settings) -> Machines:
    run = settings.folder.run
    if settings.machines == "none" or not Role(settings.role).works:
        return NoMachines(run)
    return QemuMachines(
        run,
        disks=settings.folder.pool,
        accel=settings.accel,
        probe=probe_guest(settings.guest_cache),
        is_open=settings.guest_network == "open",
    )


def _plane(settings: Settings, database: Database, machines: Machines) -> Plane | None:
    if settings.machines == "none" or not Role(settings.role).works:
        return None
    why_not = (lambda: OPENED) if settings.guest_network == "open" else trying.why_not
    networks = KeptNetworks(settings.folder.networks, way_out=settings.guests_way_out)
    tunnels = None
    if not database.is_sqlite:
        tunnels = Tunnels(database, settings.host, lambda: own_end(settings, database), trying.why_not_joined)
    return Plane(database, networks, machines, settings.host, why_not, tunnels=tunnels, beside=moves.beside)
