"""A disk that loses one write: a page of the database is older than the others. Nothing may be dropped for it."""

from __future__ import annotations

import contextlib
import os
import sqlite3

import pytest
from sqlalchemy.exc import DatabaseError

from kiln.pools.qcow2 import Qcow2Pool
from kiln.store.database import open_sqlite
from kiln.store.errors import DatabaseMalformed
from kiln.store.rows import metadata
from kiln.store.snapshots import snapshots
from kiln.store.volumes import volumes
from kiln.upkeep.keeper import release_snapshots
from kiln.upkeep.sweep import sweep
from tests.clouds import make_cloud
from tests.pools.patterns import holds, put
from tests.reading import every
from tests.stock import a_snapshot, an_instance
from tests.tools import needs

#: The primary keys' own indexes are named by SQLite.
TREES = [
    name
    for table in metadata.sorted_tables
    for name in (table.name, f"sqlite_autoindex_{table.name}_1", *(str(index.name) for index in table.indexes))
]


@pytest.fixture
def sqlite_cloud(tmp_path, sqlite):
    """A Kiln on a file of its own; the fault is one of SQLite's pages."""
    return make_cloud(tmp_path, sqlite)


def an_image(cloud, byte):
    """An image of a released instance of two disks, which hold the byte."""
    needs("qemu-img", "qemu-io", "qemu-storage-daemon")
    instance = an_instance(cloud, data_disks=1)
    with cloud.ports.database.read() as tx:
        heads = [row.id for row in volumes.all(tx, kind="head", state="ready")]
    for head in heads:
        if holds(cloud.ports.pool, head, {}):
            put(cloud.ports.pool, head, {0: byte})
    image = cloud.call("CreateImage", InstanceId=instance.id)["ImageId"]
    cloud.settle()
    cloud.call("DeleteInstance", InstanceId=instance.id)
    cloud.settle()
    sweep(cloud.ports)
    return image


def checkpoint(cloud):
    cloud.ports.database.close()
    with contextlib.closing(sqlite3.connect(cloud.folder / "kiln.sqlite")) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def pages_of(cloud, tree):
    """Where the pages of a table or an index are in the file, and what they hold. Small trees have one."""
    with contextlib.closing(sqlite3.connect(cloud.folder / "kiln.sqlite")) as connection:
        (size,) = connection.execute("PRAGMA page_size").fetchone()
        (root,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (tree,)).fetchone()
    with (cloud.folder / "kiln.sqlite").open("rb") as file:
        return (root - 1) * size, os.pread(file.fileno(), size, (root - 1) * size)


@pytest.mark.slow
@pytest.mark.parametrize("tree", TREES)
def test_drops_no_volume_for_a_page_that_is_older(sqlite_cloud, tree):
    cloud = sqlite_cloud
    an_image(cloud, 1)
    checkpoint(cloud)
    cloud.refit(database=open_sqlite(cloud.folder / "kiln.sqlite"))
    place, older = pages_of(cloud, tree)
    an_image(cloud, 2)
    an_instance(cloud)
    named = {row.volume: row.created_at for row in every(cloud, snapshots)}
    kept = set(cloud.ports.pool.volumes())
    checkpoint(cloud)
    with (cloud.folder / "kiln.sqlite").open("r+b") as file:
        os.pwrite(file.fileno(), older, place)

    cloud.refit(database=open_sqlite(cloud.folder / "kiln.sqlite"))
    for chore in (sweep, release_snapshots, sweep):
        with contextlib.suppress(DatabaseError, DatabaseMalformed):
            chore(cloud.ports)

    assert kept <= set(cloud.ports.pool.volumes())
    assert len(named) == 4
    pool = Qcow2Pool(cloud.folder / "pool")  # The bytes alone: the books of the other may be what is broken.
    for number, volume in enumerate(sorted(named, key=named.__getitem__)):
        assert holds(pool, volume, {0: 1 + number // 2})
    cloud.ports.database.close()


def test_removes_no_snapshot_whose_image_the_index_has_lost(sqlite_cloud):
    cloud = sqlite_cloud
    snapshot = a_snapshot(cloud, retention_days=1)
    checkpoint(cloud)
    place, older = pages_of(cloud, "image_disks_snapshot")
    cloud.refit(database=open_sqlite(cloud.folder / "kiln.sqlite"))
    cloud.call("CreateImage", SnapshotId=snapshot.id)
    checkpoint(cloud)
    with (cloud.folder / "kiln.sqlite").open("r+b") as file:
        os.pwrite(file.fileno(), older, place)

    cloud.refit(database=open_sqlite(cloud.folder / "kiln.sqlite"))
    cloud.clock.now += 2 * 86400
    assert release_snapshots(cloud.ports) == []
    cloud.refuses("DeleteSnapshot", "SnapshotCreatedImage", 403, SnapshotId=snapshot.id, Force=True)
    cloud.ports.database.close()
