"""Tables: migrations make exactly what is declared, and newer databases are refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text

import kiln.store.migrations.versions
from kiln.store import schema
from kiln.store.database import open_sqlite
from kiln.store.rows import metadata


def test_migrations_make_what_is_declared(database):
    with database.engine.connect() as connection:
        difference = compare_metadata(MigrationContext.configure(connection), metadata)

    assert difference == []


def test_the_newest_migration_is_known():
    folder = Path(kiln.store.migrations.versions.__file__).parent

    assert max(path.name[:4] for path in folder.glob("[0-9]*.py")) == schema.NEWEST


def test_a_second_start_changes_nothing(database):
    schema.create(database)


def test_refuses_a_database_of_a_newer_kiln(tmp_path):
    database = open_sqlite(tmp_path / "new.sqlite")
    schema.create(database)
    with database.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))

    with pytest.raises(schema.SchemaTooNew):
        schema.create(database)
    database.close()
