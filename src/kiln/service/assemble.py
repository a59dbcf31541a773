"""Builds a Kiln from its settings: database, pool, machines, buckets."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from kiln.buckets.folder import FolderBuckets
from kiln.declare.clock import system_clock
from kiln.declare.deployment import Deployment
from kiln.guest.trial import probe_guest
from kiln.machines.none import NoMachines
from kiln.machines.port import Machines
from kiln.machines.qemu import QemuMachines
from kiln.operations.call import Ports
from kiln.operations.grace import Grace
from kiln.pools.qcow2 import Qcow2Pool
from kiln.service.ballast import Ballast
from kiln.service.databases import open_database, require_whole
from kiln.service.datafolder import DataFolder
from kiln.service.errors import DatabaseUnusable, DataFolderBusy
from kiln.service.pairing import require_pair
from kiln.service.secrets import Sealer
from kiln.service.settings import Settings
from kiln.store.database import Database
from kiln.upkeep.trash import relieve


@dataclass(frozen=True, kw_only=True)
class Assembly:
    """A Kiln, put together but not started."""

    settings: Settings
    ports: Ports
    sealer: Sealer
    ballast: Ballast
    pool: Qcow2Pool
    buckets: FolderBuckets

    @property
    def database(self) -> Database:
        """What we know."""
        return self.ports.database


@contextmanager
def hold_data_folder(folder: Path) -> Iterator[None]:
    """Make the data folder and keep every other Kiln out of it. Raises DataFolderBusy."""
    folder.mkdir(parents=True, exist_ok=True)
    # A confined QEMU runs as a user of its own and must reach its volumes below; nobody may list what is here.
    folder.chmod(0o711)
    descriptor = os.open(DataFolder(folder).lock, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DataFolderBusy(f"another Kiln works in {folder}") from None
        yield
    finally:
        os.close(descriptor)


@contextmanager
def assemble(settings: Settings, *, strays: bool = False) -> Iterator[Assembly]:
    """A Kiln on its data folder, which the caller holds; the database is closed at the end.

    Raises DatabaseUnusable; and DatabaseDamaged or DeploymentRefused before anything is made or
    changed, when database and pool do not belong together, with *strays* also when
    the pool has volumes that have no row.
    """
    require_whole(settings)
    require_pair(settings, strays=strays)
    with assemble_unpaired(settings) as it:
        yield it


@contextmanager
def assemble_unpaired(settings: Settings) -> Iterator[Assembly]:
    """As ``assemble``, of whatever is there: for what makes database and pool fit each other."""
    sealer = Sealer.in_folder(settings.data)
    ballast = Ballast(settings.folder.ballast)
    database = _open_with_room(settings, ballast)
    try:
        pool = Qcow2Pool(settings.folder.pool)
        buckets = FolderBuckets(settings.folder.buckets)
        ports = Ports(
            database=database,
            pool=pool,
            machines=_machines(settings),
            buckets=buckets,
            deployment=Deployment(
                regions=settings.region_ids,
                endpoint=settings.public_endpoint or settings.listen,
                resource_groups=settings.resource_group_ids,
            ),
            clock=system_clock,
            seal=sealer.seal,
            grace=Grace(settings.grace_seconds),
        )
        pool.make_room = lambda missing_bytes: bool(relieve(ports, missing_bytes))
        yield Assembly(settings=settings, ports=ports, sealer=sealer, ballast=ballast, pool=pool, buckets=buckets)
    finally:
        database.close()


def _open_with_room(settings: Settings, ballast: Ballast) -> Database:
    """The database with its tables. SQLite needs room to read, too: whoever closes it last removes its log's index."""
    try:
        database = open_database(settings)
    except DatabaseUnusable:
        if not ballast.give_up():
            raise
        database = open_database(settings)
    if database.is_sqlite:
        database.make_room = ballast.give_up
    return database


def _machines(settings: Settings) -> Machines:
    run = settings.folder.run
    if settings.machines == "none":
        return NoMachines(run)
    return QemuMachines(
        run,
        accel=settings.accel,
        probe=probe_guest(settings.guest_cache),
        is_open=settings.guest_network == "open",
    )
