"""Tables: migrations make what is declared and what a new database has at once, and newer ones are refused."""

from __future__ import annotations

from contextlib import ExitStack
from importlib.resources import files
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import inspect, text

import kiln.store.migrations.versions
from kiln.store import schema
from kiln.store.database import open_postgresql, open_sqlite
from kiln.store.disks import disks
from kiln.store.rows import metadata
from kiln.store.volumes import volumes
from tests.clouds import make_cloud
from tests.postgresql import make_database
from tests.stock import a_disk


def alembic(connection):
    """The configuration with which Alembic's commands migrate what *connection* is of."""
    config = Config()
    config.set_main_option("script_location", str(files("kiln.store") / "migrations"))
    config.attributes["connection"] = connection
    return config


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def migrated(request, tmp_path_factory):
    """A database with the tables of all migrations, one after the other."""
    with ExitStack() as stack:
        if request.param == "sqlite":
            opened = open_sqlite(tmp_path_factory.mktemp("migrated") / "migrated.sqlite")
        else:
            opened = open_postgresql(stack.enter_context(make_database(request.getfixturevalue("postgresql_server"))))
        stack.callback(opened.close)
        with opened.engine.connect() as connection:
            command.upgrade(alembic(connection), "head")
            connection.commit()
        yield opened


@pytest.fixture
def made(migrated, request, tmp_path):
    """A database of the same kind that was empty when Kiln came."""
    if migrated.is_sqlite:
        opened = open_sqlite(tmp_path / "made.sqlite")
        schema.create(opened)
        yield opened
        opened.close()
    else:
        yield request.getfixturevalue("postgresql_database")


def index_of(seen):
    """Its columns, whether it is unique, and of which rows it is."""
    parts = {name: str(value) for name, value in seen.get("dialect_options", {}).items()}
    return seen["column_names"], bool(seen["unique"]), parts


def shape_of(database):
    """Each table's columns, key, constraints and indexes. Defaults are for rows of before a column came: none is used.

    Neither is the order of columns, which is another where migrations have added some.
    """
    seen = inspect(database.engine)
    columns, indexes = of_all(seen.get_multi_columns), of_all(seen.get_multi_indexes)
    constraints = {
        "key": of_all(seen.get_multi_pk_constraint),
        "foreign": of_all(seen.get_multi_foreign_keys),
        "unique": of_all(seen.get_multi_unique_constraints),
        "checks": of_all(seen.get_multi_check_constraints),
    }
    return {
        table: {
            "columns": {c["name"]: (str(c["type"]), c["nullable"]) for c in columns[table]},
            **{what: found[table] for what, found in constraints.items()},
            "indexes": {i["name"]: index_of(i) for i in indexes[table]},
        }
        for table in seen.get_table_names()
    }


def of_all(ask):
    """What *ask* tells of every table, by their names; it is asked once, which takes a tenth of the time."""
    return {table: found for (_, table), found in ask().items()}


def test_migrations_make_what_is_declared(migrated):
    with migrated.engine.connect() as connection:
        difference = compare_metadata(MigrationContext.configure(connection), metadata)

    assert difference == []


def test_a_new_database_has_what_migrations_make(migrated, made):
    assert shape_of(made) == shape_of(migrated)
    assert schema.version(made) == schema.version(migrated) == schema.NEWEST


def test_the_newest_migration_is_known():
    folder = Path(kiln.store.migrations.versions.__file__).parent

    assert max(path.name[:4] for path in folder.glob("[0-9]*.py")) == schema.NEWEST


def test_a_second_start_changes_nothing(database):
    schema.create(database)


def test_what_an_older_kiln_wrote_is_kept(tmp_path):
    database = open_sqlite(tmp_path / "old.sqlite")
    schema.create(database)
    a_disk(make_cloud(tmp_path, database))
    with database.engine.connect() as connection:
        command.downgrade(alembic(connection), "0001")
        connection.commit()

    schema.create(database)

    with database.read() as tx:
        (disk,) = disks.all(tx)
        (volume,) = volumes.all(tx)
    assert (disk.status, disk.awaits_restart) == ("Available", False)
    assert (volume.id, volume.state, volume.file_bytes) == (disk.volume, "ready", None)
    database.close()


def test_refuses_a_database_of_a_newer_kiln(tmp_path):
    database = open_sqlite(tmp_path / "new.sqlite")
    schema.create(database)
    with database.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))

    with pytest.raises(schema.SchemaTooNew):
        schema.create(database)
    database.close()
