"""A database and a pool that do not belong together are refused, and nothing is changed."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from importlib.resources import files

import pytest
from alembic import command
from alembic.config import Config

from kiln.pools.port import Generation, Identity
from kiln.service.assemble import assemble
from kiln.service.environment import environment
from kiln.service.errors import DatabaseUnusable, DeploymentRefused
from kiln.service.pairing import advance
from kiln.store.database import open_sqlite
from kiln.store.volumes import volumes
from tests.clouds import REGION
from tests.pools.kills import killed_at, points_of
from tests.service.pairs import Home, as_cloud


def a_disk(cloud):
    disk = cloud.call("CreateDisk", ZoneId=REGION + "-a", Size=20)["DiskId"]
    cloud.settle()
    return disk


@pytest.fixture
def home(tmp_path):
    """A data folder with a disk, in its second generation."""
    home = Home(tmp_path / "home")
    home.start()
    with home.started() as it:
        a_disk(as_cloud(it))
    return home


def go_back(home, version):
    """Have the database as a Kiln of that version left it."""
    config = Config()
    config.set_main_option("script_location", str(files("kiln.store") / "migrations"))
    database = open_sqlite(home.sqlite)
    with database.engine.connect() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, version)
        connection.commit()
    database.close()


def refused(home, words, *, everybody=True):
    """That nobody opens it, for that reason, and that nothing is changed."""
    before = home.content()
    with pytest.raises(DeploymentRefused, match=words):
        home.start()
    if everybody:
        with pytest.raises(DeploymentRefused, match=words), assemble(home.settings):
            pass
        with pytest.raises(DeploymentRefused, match=words):
            environment(home.settings)
    assert home.content() == before


def test_every_start_is_a_generation(home):
    assert [home.start(), home.start()] == [3, 4]


def test_an_older_database_is_refused(home, tmp_path):
    old = home.copy(tmp_path / "old")
    home.start()
    home.take_database_of(old)

    refused(home, "database is older than the pool: it is in generation 2, the pool in generation 3.*--rebuild")


def test_an_older_pool_is_refused(home, tmp_path):
    old = home.copy(tmp_path / "old")
    home.start()
    home.take_pool_of(old)

    refused(home, "pool is older than the database")


def test_both_of_one_older_copy_are_taken(home, tmp_path):
    old = home.copy(tmp_path / "old")
    home.start()

    assert old.start() == 3


def test_an_older_database_of_the_same_generation_is_refused(tmp_path):
    home = Home(tmp_path / "home")
    with home.started() as it:
        cloud = as_cloud(it)
        with closing(sqlite3.connect(home.sqlite)) as connection, closing(sqlite3.connect(tmp_path / "old")) as old:
            connection.backup(old)
        cloud.call("CreateImage", SnapshotId=_a_snapshot(cloud))
        cloud.settle()
    home.forget_database()
    shutil.copy(tmp_path / "old", home.sqlite)

    refused(home, "database is older than the pool: it knows 1 batch of records, the pool has 2|holds")


def _a_snapshot(cloud):
    from tests.stock import a_snapshot, an_instance  # noqa: PLC0415

    an_instance(cloud)
    return a_snapshot(cloud, account=cloud.account, source_disk_type="system").id


def test_a_database_without_its_log_is_refused(tmp_path):
    home = Home(tmp_path / "home")
    with home.started() as it:
        a_disk(as_cloud(it))
        shutil.copy(home.sqlite, tmp_path / "bare")
    home.forget_database()
    shutil.copy(tmp_path / "bare", home.sqlite)

    refused(home, "older|empty|no database")


@pytest.mark.parametrize("what", ["missing", "empty", "without tables"])
def test_no_database_beside_a_full_pool_is_refused(home, what):
    home.forget_database()
    if what == "empty":
        home.sqlite.touch()
    elif what == "without tables":
        with closing(sqlite3.connect(home.sqlite)) as connection:
            connection.execute("CREATE TABLE other (id TEXT)")

    refused(home, "the pool holds 1 volume.*--rebuild")


def test_no_database_beside_an_old_pool_is_refused(home):
    shutil.rmtree(home.pool / ".kiln")
    home.forget_database()

    refused(home, "the pool holds 1 volume")


def test_no_database_beside_an_empty_pool_of_somebody_is_refused(tmp_path):
    home = Home(tmp_path / "home")
    home.start()
    home.forget_database()

    refused(home, "there is no database, but the pool is that of deployment .* in generation 1")


def test_a_database_of_another_deployment_is_refused(home, tmp_path):
    other = Home(tmp_path / "other")
    with other.started() as it:
        a_disk(as_cloud(it))
    other.start()
    home.take_database_of(other)

    refused(home, "they do not belong together")


def test_a_pool_of_another_deployment_is_refused(home, tmp_path):
    other = Home(tmp_path / "other")
    other.start()
    other.start()
    home.take_pool_of(other)

    refused(home, "they do not belong together")


def test_an_empty_pool_beside_a_database_is_refused(home):
    shutil.rmtree(home.pool)

    refused(home, "pool bears no identity.*not mounted")


def test_halves_of_two_copies_that_were_both_started_are_refused(home, tmp_path):
    other = home.copy(tmp_path / "other")
    home.start()
    other.start()
    home.take_pool_of(other)

    refused(home, "two copies that were both started")
    assert other.start() == 4


def test_no_generation_is_begun_where_another_kiln_has_begun_one_since_both_were_looked_at(home):
    with assemble(home.settings, strays=True) as it:
        mine = it.pool.identity()
        begun = Identity(mine.deployment, Generation(mine.generation.number + 1, "another's"))
        it.pool.identify(begun)
        with pytest.raises(DeploymentRefused, match="older than the pool"):
            advance(it.database, it.pool, 1.0)
        assert it.pool.identity() == begun


def test_a_database_from_before_the_identity_is_refused(home):
    with closing(sqlite3.connect(home.sqlite)) as connection, connection:
        connection.execute("DELETE FROM deployment")

    refused(home, "the database bears no identity")


def test_a_folder_from_before_the_identity_is_adopted_once(home):
    go_back(home, "0003")
    shutil.rmtree(home.pool / ".kiln")

    assert [home.start(), home.start()] == [1, 2]


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"", "empty, cut short"), (b'{"format":1', "cut short"), (b'{"format": 9}', "newer Kiln|format 9")],
)
def test_an_identity_that_cannot_be_read_is_refused(home, content, words):
    (home.pool / ".kiln" / "identity").write_bytes(content)

    refused(home, words)


def test_an_identity_that_is_gone_is_refused(home):
    (home.pool / ".kiln" / "identity").unlink()

    refused(home, "bears no identity")


def test_records_of_another_deployment_are_refused(home, tmp_path):
    other = Home(tmp_path / "other")
    other.start()
    shutil.copy(other.pool / ".kiln" / "records", home.pool / ".kiln" / "records")

    refused(home, "records are of deployment")


def test_records_that_are_gone_are_written_again(home):
    before = (home.pool / ".kiln" / "records").read_bytes()
    (home.pool / ".kiln" / "records").unlink()
    home.start()

    assert len((home.pool / ".kiln" / "records").read_bytes()) > len(before) / 2


def test_a_volume_without_a_row_is_refused_by_the_service(home):
    with home.started() as it:
        it.database.write(volumes.delete)

    refused(home, "there is|the database|of which the database knows nothing", everybody=False)


def test_what_an_operator_put_into_the_pool_is_no_reason(home):
    (home.pool / "mine.qcow2").write_bytes(b"")
    (home.pool / "v-notours.qcow2").write_bytes(b"")
    (home.pool / "lost+found").mkdir()
    (home.pool / "lost+found" / ("v-" + "a" * 20 + ".qcow2")).write_bytes(b"")
    (home.pool / ".tmp-1").write_bytes(b"")

    assert home.start() == 3


def test_a_database_that_is_no_database_is_unusable(home):
    home.forget_database()
    home.sqlite.write_bytes(b"nothing of that sort" * 1000)

    with pytest.raises(DatabaseUnusable):
        home.start()
    assert home.sqlite.read_bytes() == b"nothing of that sort" * 1000


@pytest.mark.slow
@pytest.mark.parametrize("first", [True, False])
def test_a_kill_at_any_line_of_a_start_lets_the_next_pass(tmp_path, home, first):
    def begun(name):
        return Home(tmp_path / name) if first else home.copy(tmp_path / name)

    passed = points_of(begun("all").start)
    for number, point in enumerate(passed):
        folder = begun(f"{number}")
        assert killed_at(number, folder.start), point
        generation = folder.start()
        assert generation in ((1, 2) if first else (3, 4)), point
        assert folder.start() == generation + 1


def test_a_killed_service_starts_again_whatever_was_not_recorded(home):
    with home.started(records=False) as it:
        cloud = as_cloud(it)
        with it.database.read() as tx:
            (volume,) = volumes.all(tx)
        disk = a_disk(cloud)
        cloud.call("DeleteDisk", DiskId=disk)
        cloud.settle()

    with home.started() as it:
        assert it.pool.records.get("disk", disk) is None
        assert it.pool.records.get("volume", volume.id) is not None


def test_looking_at_a_stopped_database_leaves_no_file(home):
    before = home.content()
    environment(home.settings)

    assert json.loads(before["pool/.kiln/identity"])["generation"]["number"] == 2
    assert home.content().keys() - {"endpoint"} == before.keys() - {"endpoint"}
