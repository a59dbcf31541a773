"""A disk that loses one write: a page of the database is older than the others. Nothing may be dropped for it."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
from dataclasses import dataclass
from pathlib import Path

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
from tests.clouds import cloud_in, make_cloud
from tests.kill.conftest import quick_folder  # noqa: F401 - a fixture
from tests.pools.patterns import BLOCKS, all_hold, holds, put
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


def place_of(file, tree):
    """Where the page of a table or an index is in the database, and how long it is. Small trees have one."""
    with contextlib.closing(sqlite3.connect(file)) as connection:
        (size,) = connection.execute("PRAGMA page_size").fetchone()
        (root,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (tree,)).fetchone()
    return (root - 1) * size, size


def pages_of(cloud, tree):
    """Where that page is, and what it holds."""
    file = cloud.folder / "kiln.sqlite"
    place, size = place_of(file, tree)
    return place, file.read_bytes()[place : place + size]


@dataclass(frozen=True)
class Grown:
    """A data folder in which two images were made, with its database as it was after the first."""

    folder: Path
    older: bytes
    named: dict[str, float]  #: The volumes of snapshots, and when those were made.
    kept: set[str]
    now: float


@pytest.fixture(scope="module")
def grown(tmp_path_factory, sqlite_file):
    """The folder is to be copied: whatever page is older, all else is the same."""
    folder = tmp_path_factory.mktemp("grown")
    shutil.copy(sqlite_file, folder / "kiln.sqlite")
    cloud = make_cloud(folder, open_sqlite(folder / "kiln.sqlite"))
    an_image(cloud, 1)
    checkpoint(cloud)
    older = (folder / "kiln.sqlite").read_bytes()
    cloud.refit(database=open_sqlite(folder / "kiln.sqlite"))
    an_image(cloud, 2)
    an_instance(cloud)
    named = {row.volume: row.created_at for row in every(cloud, snapshots)}
    kept = set(cloud.ports.pool.volumes())
    checkpoint(cloud)
    assert len(named) == 4
    return Grown(folder=folder, older=older, named=named, kept=kept, now=cloud.clock.now)


@pytest.mark.slow
@pytest.mark.parametrize("tree", TREES)
def test_drops_no_volume_for_a_page_that_is_older(grown, tree, quick_folder):  # noqa: F811 - the fixture.
    folder = shutil.copytree(grown.folder, quick_folder / "data")
    file = folder / "kiln.sqlite"
    place, size = place_of(file, tree)
    with file.open("r+b") as damaged:
        os.pwrite(damaged.fileno(), grown.older[place : place + size], place)

    database = open_sqlite(file)
    cloud = cloud_in(folder, database)
    cloud.clock.now = grown.now
    for chore in (sweep, release_snapshots, sweep):
        with contextlib.suppress(DatabaseError, DatabaseMalformed):
            chore(cloud.ports)

    assert grown.kept <= set(cloud.ports.pool.volumes())
    pool = Qcow2Pool(folder / "pool")  # The bytes alone: the books of the other may be what is broken.
    in_order = sorted(grown.named, key=grown.named.__getitem__)
    assert all_hold(pool, [(volume, {0: 1 + number // 2}, BLOCKS) for number, volume in enumerate(in_order)])
    database.close()


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
