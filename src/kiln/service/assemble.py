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
from kiln.pools.qcow2 import Qcow2Pool
from kiln.service.datafolder import DataFolder
from kiln.service.secrets import Sealer
from kiln.service.settings import Settings
from kiln.store import schema
from kiln.store.database import Database, open_postgresql, open_sqlite


class DataFolderBusy(Exception):
    """Another Kiln works in the data folder."""


@dataclass(frozen=True, kw_only=True)
class Assembly:
    """A Kiln, put together but not started."""

    settings: Settings
    ports: Ports
    sealer: Sealer
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
def assemble(settings: Settings) -> Iterator[Assembly]:
    """A Kiln on its data folder, which the caller holds; the database is closed at the end."""
    sealer = Sealer.in_folder(settings.data)
    database = _open_database(settings)
    try:
        schema.create(database)
        pool = Qcow2Pool(settings.folder.pool)
        buckets = FolderBuckets(settings.folder.buckets)
        ports = Ports(
            database=database,
            pool=pool,
            machines=_machines(settings),
            buckets=buckets,
            deployment=Deployment(
                regions=settings.region_ids,
                endpoint=settings.listen,
                resource_groups=settings.resource_group_ids,
            ),
            clock=system_clock,
            seal=sealer.seal,
        )
        yield Assembly(settings=settings, ports=ports, sealer=sealer, pool=pool, buckets=buckets)
    finally:
        database.close()


def _open_database(settings: Settings) -> Database:
    if settings.database:
        return open_postgresql(settings.database)
    before = os.umask(0o077)
    try:
        database = open_sqlite(settings.folder.database)
        with database.read():  # Makes the file, under the strict umask.
            pass
    finally:
        os.umask(before)
    return database


def _machines(settings: Settings) -> Machines:
    run = settings.folder.run
    if settings.machines == "none":
        return NoMachines(run)
    return QemuMachines(run, accel=settings.accel, probe=probe_guest(settings.guest_cache))
