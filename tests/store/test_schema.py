"""Tables: migrations make exactly what is declared, and newer databases are refused."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import text

import kiln.store.migrations.versions
from kiln.store import schema
from kiln.store.database import open_sqlite
from kiln.store.disks import disks
from kiln.store.rows import metadata
from kiln.store.volumes import volumes
from tests.clouds import make_cloud
from tests.stock import a_disk


def test_migrations_make_what_is_declared(database):
    with database.engine.connect() as connection:
        difference = compare_metadata(MigrationContext.configure(connection), metadata)

    assert difference == []


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
        config = Config()
        config.set_main_option("script_location", str(files("kiln.store") / "migrations"))
        config.attributes["connection"] = connection
        command.downgrade(config, "0001")
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
