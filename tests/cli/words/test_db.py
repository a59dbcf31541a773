"""``kiln db``: a database is copied and nothing is lost, checked, and upgraded on purpose."""

from __future__ import annotations

import json
import os
from contextlib import closing

import pytest
from sqlalchemy import select, text

from kiln.client.client import Client
from kiln.service.moving import copy_database, target_of
from kiln.store import copies, schema
from kiln.store.copies import NotAlike, NotEmpty, copy_rows
from kiln.store.database import open_postgresql, open_sqlite
from kiln.store.rows import metadata
from kiln.store.tags import Tag, tags
from tests import warm
from tests.dying import Killed, dying
from tests.postgresql import make_database
from tests.service.pairs import Home, as_cloud
from tests.stock import an_instance
from tests.upgrade.folders import VERSIONS, unpack

pytestmark = pytest.mark.postgresql


@pytest.fixture
def home(tmp_path):
    """A Kiln on SQLite that has run, with an instance and texts that each database orders in its own way."""
    home = Home(tmp_path / "data")
    with home.started() as it:
        cloud = as_cloud(it)
        an_instance(cloud, account=cloud.account, data_disks=1)
        for key in ("a", "B", "ä", "Z", "_", "-", "10", "9", "ß", "\U0001f525"):
            tag = Tag(account=cloud.account, resource_type="image", resource="m-1", key=key, value="'\\\n\t\"")
            it.database.write(lambda tx, tag=tag: tags.insert(tx, tag))
    return home


def rows_of(database):
    with database.read() as tx:
        found = {table.name: {tuple(row) for row in tx.execute(select(table))} for table in metadata.sorted_tables}
    database.close()
    return found


def say(address, *statements):
    database = open_postgresql(address)
    with database.engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))
    database.close()


def db(*words, **settings):
    kept = {name: value for name, value in os.environ.items() if not name.startswith("KILN_")}
    return warm.kiln("db", *words, env=kept | {f"KILN_{name.upper()}": str(it) for name, it in settings.items()})


def test_copies_there_and_back_and_both_are_served(home, postgresql_address, tmp_path):
    before = rows_of(open_sqlite(home.sqlite))

    there = db("copy", "--to", postgresql_address, "--data", home.data)

    assert there.returncode == 0, there.stderr
    assert f"copied {sum(map(len, before.values()))} rows from {home.sqlite}" in there.stdout
    assert rows_of(open_postgresql(postgresql_address)) == before
    with warm.start_kiln(home.data, database=postgresql_address) as kiln:
        with closing(Client(kiln.endpoint, kiln.access_key_id, kiln.secret, kiln.region)) as client:
            assert client.call("DescribeInstances")["TotalCount"] == 1
            client.call("CreateKeyPair", KeyPairName="made-there")
        kiln.stop()
        # The one that was copied is older than the pool by now.
        refused = warm.kiln("serve", "--data", home.data, "--listen", "127.0.0.1:0", "--machines", "none")
        assert (refused.returncode, "is older than the pool" in refused.stderr) == (9, True)
        home.forget_database()

        back = db("copy", "--to", "sqlite", data=home.data, database=postgresql_address)

        assert back.returncode == 0, back.stderr
        assert rows_of(open_sqlite(home.sqlite)) == rows_of(open_postgresql(postgresql_address))
        del kiln.settings["database"]
        kiln.start()
        with closing(Client(kiln.endpoint, kiln.access_key_id, kiln.secret, kiln.region)) as client:
            found = client.call("DescribeKeyPairs")["KeyPairs"]["KeyPair"]
            assert [one["KeyPairName"] for one in found] == ["made-there"]


def test_refuses_a_database_that_has_rows_itself_and_one_that_is_served(home, postgresql_address):
    assert db("copy", "--to", postgresql_address, "--data", home.data).returncode == 0
    again = db("copy", "--to", postgresql_address, "--data", home.data)
    assert (again.returncode, "it has rows already" in again.stderr) == (9, True)
    told = db("copy", "--to", "postgresql://kiln:s3cret@db/kiln", "--data", home.data)
    assert (told.returncode, "s3cret" in told.stderr, "KILN_DATABASE_PASSWORD" in told.stderr) == (3, False, True)
    itself = db("copy", "--to", "sqlite", "--data", home.data)
    assert (itself.returncode, "is the database that is to be copied" in itself.stderr) == (9, True)
    with warm.start_kiln(home.data):
        served = db("copy", "--to", postgresql_address, "--data", home.data)
        assert (served.returncode, "another Kiln works in" in served.stderr) == (3, True)


@pytest.mark.parametrize("point", ["tables_made", "before_commit", "committed"])
def test_one_that_was_interrupted_is_told_from_a_whole_one_and_begun_again(home, postgresql_server, point):
    with make_database(postgresql_server) as address:
        target = target_of(home.settings, address)
        with dying(lambda passed: passed == f"copies.{point}"), pytest.raises(Killed):
            copy_database(home.settings, target, lambda _: None, lambda *_: None)

        is_whole = point == "committed"
        served = warm.kiln("env", "--data", home.data, "--database", address)
        assert (served.returncode == 0) == is_whole
        again = db("copy", "--to", address, "--data", home.data)

    assert (again.returncode, "it has rows already" in again.stderr) == ((9, True) if is_whole else (0, False))


def test_a_row_that_is_another_there_undoes_the_copy(database, postgresql_server, monkeypatch, tmp_path):
    with make_database(postgresql_server) as address:
        target = open_postgresql(address)
        schema.create(target)
        with target.engine.begin() as connection:
            connection.execute(
                text(
                    "CREATE FUNCTION spoil() RETURNS trigger LANGUAGE plpgsql AS "
                    "$$ BEGIN NEW.value := upper(NEW.value); RETURN NEW; END $$"
                )
            )
            connection.execute(text("CREATE TRIGGER spoil BEFORE INSERT ON tags FOR EACH ROW EXECUTE FUNCTION spoil()"))
        tag = Tag(account="1", resource_type="image", resource="m-1", key="k", value="v")
        database.write(lambda tx: tags.insert(tx, tag))
        with pytest.raises(NotAlike, match="a row of tags is another there: image, m-1, k"):
            copy_rows(database, target)
        assert not any(rows_of(target).values())


def test_a_text_that_postgresql_has_no_place_for_undoes_the_copy(sqlite, postgresql_address):
    tag = Tag(account="1", resource_type="image", resource="m-1", key="k", value="a\0b")
    sqlite.write(lambda tx: tags.insert(tx, tag))
    target = open_postgresql(postgresql_address)
    with pytest.raises(NotAlike, match="a row of tags cannot be there"):
        copy_rows(sqlite, target)
    assert not any(rows_of(target).values())


def test_more_rows_than_are_written_at_once_are_all_counted(sqlite, postgresql_address):
    number = 2 * copies._AT_ONCE + 1
    for first in range(0, number, 100):
        new = [
            Tag(account="1", resource_type="image", resource="m-1", key=str(key), value="")
            for key in range(first, min(first + 100, number))
        ]
        sqlite.write(lambda tx, new=new: tags.insert(tx, *new))
    told = []
    target = open_postgresql(postgresql_address)
    assert copy_rows(sqlite, target, lambda *it: told.append(it)) == number
    assert told[-1] == (2 * number, 2 * number)
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    with pytest.raises(NotEmpty, match="of tags"):
        copy_rows(sqlite, target)
    target.close()


def test_says_what_a_migration_would_do_and_does_it(postgresql_address, tmp_path):
    would = db("migrate", "--dry-run", "--data", tmp_path, "--database", postgresql_address)
    assert (would.returncode, would.stdout) == (0, f"would make all tables, of version {schema.NEWEST}\n")
    database = open_postgresql(postgresql_address)
    assert schema.version(database) is None

    assert db("migrate", "--data", tmp_path, "--database", postgresql_address).returncode == 0

    assert schema.version(database) == schema.NEWEST
    database.close()
    again = db("migrate", "--data", tmp_path, "--database", postgresql_address)
    assert "nothing is to be done" in again.stdout


def test_a_clean_database_is_well_beside_its_service(home, postgresql_address):
    assert db("copy", "--to", postgresql_address, "--data", home.data).returncode == 0
    with warm.start_kiln(home.data, database=postgresql_address):
        checked = db("check", "--json", data=home.data, database=postgresql_address)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert [one["What"] for one in json.loads(checked.stdout)] == ["server", "clock", "tables", "rows"]


def test_each_fault_is_named(home, postgresql_address):
    assert db("copy", "--to", postgresql_address, "--data", home.data).returncode == 0
    say(
        postgresql_address,
        "ALTER TABLE tokens DROP COLUMN digest",
        "DROP INDEX tags_find",
        "UPDATE disks SET volume = 'v-00000000000000000000'",
    )
    checked = db("check", data=home.data, database=postgresql_address)
    assert checked.returncode == 10
    assert "bad  tables  they are not as declared: add column tokens.digest" in checked.stdout
    assert "bad  tables  they are not as declared: add index tags.tags_find" in checked.stdout
    assert "its volume v-00000000000000000000 is missing" in checked.stdout


def test_an_embedded_database_is_checked_and_upgraded_too(tmp_path):
    data = tmp_path / "data"
    unpack(VERSIONS[-1], data)
    old = db("check", "--data", data)
    assert (old.returncode, "tables are of version" in old.stderr) == (9, True)
    would = db("migrate", "--dry-run", "--data", data)
    assert "would carry out " in would.stdout
    assert db("migrate", "--data", data).returncode == 0
    assert f"ok   tables  of version {schema.NEWEST}" in db("check", "--data", data).stdout
