"""Two Kilns on one PostgreSQL that are not meant to share it: the second is refused, or the first writes no more."""

from __future__ import annotations

import shutil

import pytest
from sqlalchemy import text

from kiln.service.databases import hold_database
from kiln.service.errors import DatabaseHeld, DeploymentRefused
from kiln.store import deployment, tokens
from kiln.store.database import open_postgresql
from kiln.store.hold import HoldLost
from tests import warm
from tests.service.pairs import Home, as_cloud
from tests.stock import an_instance

pytestmark = pytest.mark.postgresql


@pytest.fixture
def address(postgresql_address):
    return postgresql_address


def run(address, *statements):
    database = open_postgresql(address)
    with database.engine.connect() as connection:
        for statement in statements:
            connection.execute(text(statement))
        connection.commit()
    database.close()


def test_a_second_is_refused_while_the_first_serves(address, tmp_path):
    with warm.start_kiln(tmp_path / "one", database=address) as kiln:
        words = ["serve", "--data", tmp_path / "two", "--database", address, "--listen", "127.0.0.1:0"]
        second = warm.kiln(*words)
        assert second.returncode == 3
        assert "another Kiln works with the database as host local" in second.stderr
        assert not (tmp_path / "two" / "pool").exists()
        kiln.stop()
        kiln.start()


def test_one_with_another_pool_is_refused_also_when_nobody_serves(address, tmp_path):
    one, two = Home(tmp_path / "one", address), Home(tmp_path / "two", address)
    one.start()
    with pytest.raises(DeploymentRefused, match="pool bears no identity"):
        two.start()
    assert not two.pool.exists()

    three = Home(tmp_path / "three")
    three.start()
    with pytest.raises(DeploymentRefused, match="do not belong together"):
        Home(three.data, address).start()
    assert one.start() == 2


def test_a_copied_data_folder_is_refused_once_the_other_went_on(address, tmp_path):
    one = Home(tmp_path / "one", address)
    one.start()
    shutil.copytree(one.data, tmp_path / "two")
    two = Home(tmp_path / "two", address)
    assert two.start() == 2
    with pytest.raises(DeploymentRefused, match="pool is older"):
        one.start()


def test_an_empty_database_beside_a_full_pool_is_refused(address, tmp_path):
    home = Home(tmp_path / "one", address)
    with home.started() as it:
        an_instance(as_cloud(it))
    run(address, "DROP SCHEMA public CASCADE", "CREATE SCHEMA public")
    with pytest.raises(DeploymentRefused, match="the database is empty, but the pool holds 1 volume"):
        home.start()


def test_nothing_is_written_once_another_has_begun_its_generation(address, tmp_path):
    home = Home(tmp_path / "one", address)
    with home.started() as it, it.database.read() as tx:
        mine = deployment.find(tx)
    with home.started() as it, pytest.raises(DatabaseHeld, match="was lost"):
        _write_as_if_of(home, it, mine)


def _write_as_if_of(home, it, mine):
    lost = []
    with hold_database(home.settings) as hold:
        hold.guard(it.database, mine, lambda: lost.append(True))
        before = as_cloud(it).contents()
        with pytest.raises(HoldLost):
            it.database.write(tokens.tokens.delete)
        assert (hold.is_lost, lost) == (True, [True])
        assert as_cloud(it).contents() == before
        it.database.fence = None
