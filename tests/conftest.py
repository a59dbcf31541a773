"""Fixtures that many tests share: databases and a whole Kiln without HTTP."""

from __future__ import annotations

import uuid

import pytest
from sqlalchemy import create_engine, text

from kiln.store import schema
from kiln.store.database import open_postgresql, open_sqlite
from tests.clouds import make_cloud
from tests.postgresql import start_postgresql


@pytest.fixture(scope="session")
def postgresql_server():
    with start_postgresql() as address:
        yield address


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def database(request, tmp_path):
    """An empty database with its tables: once on SQLite, once on PostgreSQL."""
    if request.param == "sqlite":
        opened = open_sqlite(tmp_path / "kiln.sqlite")
    else:
        server = request.getfixturevalue("postgresql_server")
        name = "test_" + uuid.uuid4().hex
        admin = create_engine(server.replace("postgresql://", "postgresql+psycopg://"), isolation_level="AUTOCOMMIT")
        with admin.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name}"))
        admin.dispose()
        opened = open_postgresql(server.replace("/postgres?", f"/{name}?"))
    schema.create(opened)
    yield opened
    opened.close()


@pytest.fixture
def sqlite(tmp_path):
    """An empty SQLite database with its tables."""
    opened = open_sqlite(tmp_path / "kiln.sqlite")
    schema.create(opened)
    yield opened
    opened.close()


@pytest.fixture
def cloud(tmp_path, database):
    """A whole Kiln without HTTP, with real disks and machines that are only states."""
    return make_cloud(tmp_path, database)
