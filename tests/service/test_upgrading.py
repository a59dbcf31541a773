"""Who upgrades a database that an older Kiln made, and what is kept of it."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from kiln.service.claim import hold_data_folder
from kiln.service.upgrading import keep_copy
from kiln.store import schema
from tests.pools.kills import killed_at, points_of
from tests.service.test_claim import content, kiln
from tests.tools import needs
from tests.upgrade.folders import unpack
from tests.warm import start_kiln

pytestmark = pytest.mark.slow

OLD = "0003"


def version_of(file):
    with closing(sqlite3.connect(file)) as database:
        return database.execute("SELECT version_num FROM alembic_version").fetchone()[0]


@pytest.fixture
def data(tmp_path):
    needs("qemu-img")
    folder = tmp_path / "data"
    unpack(OLD, folder)
    return folder


def test_who_serves_upgrades_says_so_and_keeps_a_copy(data):
    with start_kiln(data) as served:
        said = served.log.read_text()

    copy = data / f"kiln.sqlite.of-{OLD}"
    assert f"upgrading the database from version {OLD} to {schema.NEWEST}" in said
    assert str(copy) in said
    assert (version_of(copy), version_of(data / "kiln.sqlite")) == (OLD, schema.NEWEST)
    assert copy.stat().st_mode & 0o077 == 0


def test_a_start_that_upgrades_nothing_says_nothing(tmp_path):
    with start_kiln(tmp_path / "data") as served:
        assert "upgrading" not in served.log.read_text()
    assert list((tmp_path / "data").glob("kiln.sqlite.of-*")) == []


@pytest.mark.parametrize("words", [("env",), ("account", "list"), ("bucket", "list"), ("trash", "list"), ("fsck",)])
def test_everybody_else_leaves_it_and_says_who_upgrades(data, words):
    done = kiln(*words, "--data", str(data))

    assert (done.returncode, "`kiln serve` of this version upgrades it" in done.stderr) == (9, True)
    assert version_of(data / "kiln.sqlite") == OLD


def test_looking_changes_nothing_at_all(data):
    was = content(data)

    done = kiln("fsck", "--no-repair", "--data", str(data))

    assert (done.returncode in (0, 10), done.stderr) == (True, "")
    assert "looking at" in done.stdout
    assert content(data) == was


def test_looking_beside_what_is_there_changes_nothing_either(data):
    with start_kiln(data):
        pass
    (data / "pool" / "notes.txt").write_text("mine")
    was = content(data)

    done = kiln("fsck", "--no-repair", "--data", str(data))

    assert (done.returncode, "would be moved" in done.stdout) == (10, True)
    # What is shared between those that have the database open is scratch, which whoever looks makes anew.
    scratch = str(data / "kiln.sqlite-shm")
    assert content(data) | {scratch: ()} == was | {scratch: ()}


def test_two_copies_are_kept(tmp_path):
    with hold_data_folder(tmp_path / "data"):
        file = tmp_path / "data" / "kiln.sqlite"
        with closing(sqlite3.connect(file)) as database:
            database.execute("CREATE TABLE t (n)")
            database.commit()
        for version in ("0001", "0002", "0003"):
            keep_copy(file, version)

    assert sorted(path.name for path in file.parent.glob("kiln.sqlite.*")) == [
        "kiln.sqlite.of-0002",
        "kiln.sqlite.of-0003",
    ]


def test_a_kill_while_the_copy_is_made_leaves_the_database_and_is_made_up_for(data):
    file = data / "kiln.sqlite"
    points = points_of(lambda: keep_copy(file, OLD))
    for number in range(len(points)):
        (data / f"kiln.sqlite.of-{OLD}").unlink()
        assert killed_at(number, lambda: keep_copy(file, OLD))
        assert version_of(file) == OLD

        copy = keep_copy(file, OLD)

        assert version_of(copy) == OLD
        assert list(data.glob("*.draft")) == []
