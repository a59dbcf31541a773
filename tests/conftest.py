"""Fixtures that many tests share: databases and a whole Kiln without HTTP."""

from __future__ import annotations

import gc
import re
import shutil
import signal
from collections import Counter
from pathlib import Path

import pytest
from sqlalchemy import event

from kiln.store import schema
from kiln.store.database import open_postgresql, open_sqlite
from kiln.store.rows import metadata
from tests import statements
from tests.ceph import start_ceph
from tests.clouds import make_cloud
from tests.contract.rbd import RbdKind
from tests.postgresql import forget, make_database, name_of, start_postgresql

pytest_plugins = (
    "tests.engines",
    "tests.judge",
    "tests.repeats",
    "tests.tiers",
    "tests.spread",
    "tests.loggers",
    "tests.mounts",
    "kiln.testing.plugin",
)

#: The names of the tables that have rows.
_FILLED = " UNION ALL ".join(
    f"SELECT '{table.name}' WHERE EXISTS (SELECT 1 FROM {table.name})" for table in metadata.sorted_tables
)


#: How many folders there were for tests of each name.
_NUMBERS: Counter[str] = Counter()


def pytest_configure() -> None:
    """Let a signal that ends a terminal end what tests start: who runs them by ``nohup`` has it ignored by all."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def pytest_unconfigure() -> None:
    """Leave nothing of PostgreSQL behind."""
    forget()


def pytest_collection_finish() -> None:
    """Leave what was imported and collected to itself: the collector went through all of it again and again."""
    gc.freeze()
    statements.share()


@pytest.fixture
def tmp_path(request, tmp_path_factory):
    """An empty folder. Pytest's own fixture goes through those of all tests before to find the next number."""
    name = re.sub(r"\W", "_", request.node.name)[:30]
    while True:
        folder = tmp_path_factory.getbasetemp() / f"{name}{_NUMBERS[name]}"
        _NUMBERS[name] += 1
        try:
            folder.mkdir(mode=0o700)
        except FileExistsError:  # Made by somebody else, such as pytester.
            continue
        return folder


@pytest.fixture(scope="session")
def postgresql_server():
    """The address of one PostgreSQL server for the whole run."""
    with start_postgresql() as address:
        yield address


@pytest.fixture
def postgresql_address(postgresql_server):
    """The address of an empty PostgreSQL database that nobody else has."""
    with make_database(postgresql_server) as address:
        yield address


@pytest.fixture(scope="session")
def postgresql_template(postgresql_server):
    """The name of a database with its tables, to be copied: making them takes twice as long as a database."""
    with make_database(postgresql_server) as address:
        opened = open_postgresql(address)
        schema.create(opened)
        opened.close()
        yield name_of(address)


@pytest.fixture
def postgresql_tables(postgresql_server, postgresql_template):
    """The address of a PostgreSQL database with its tables that nobody else has."""
    with make_database(postgresql_server, postgresql_template) as address:
        yield address


@pytest.fixture
def postgresql_opened(postgresql_tables):
    """Such a one opened: what is of the whole server's or of a session's is nobody else's there."""
    opened = open_postgresql(postgresql_tables)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def ceph():
    """One Ceph of one node for the whole run."""
    with start_ceph() as cluster:
        yield cluster


@pytest.fixture(scope="session")
def postgresql_database(postgresql_server):
    """One PostgreSQL database with its tables for the whole run."""
    opened = open_postgresql(postgresql_server)
    schema.create(opened)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def sqlite_file(tmp_path_factory):
    """A SQLite database with its tables, to be copied: making them takes 0.1 s, and thousands of tests want one."""
    path = tmp_path_factory.mktemp("database") / "kiln.sqlite"
    opened = open_sqlite(path)
    schema.create(opened)
    opened.close()
    return path


@pytest.fixture(scope="session")
def engine(request):
    """What Kiln stands on: see ``tests.engines``, which says on which a test is done."""
    return request.param


@pytest.fixture
def database(engine, request):
    """An empty database with its tables: once on SQLite, once on PostgreSQL."""
    if engine == "sqlite":
        yield request.getfixturevalue("sqlite")
        return
    opened = request.getfixturevalue("postgresql_database")
    with opened.engine.begin() as connection:
        # TRUNCATE makes new files for every table and index, so only the tables with rows are named. DELETE would leave
        # dead rows behind, which the plans and scans of later tests go through.
        filled = connection.exec_driver_sql(_FILLED).scalars().all()
        if filled:
            connection.exec_driver_sql("TRUNCATE " + ", ".join(filled))
    yield opened


@pytest.fixture
def sqlite(tmp_path, sqlite_file):
    """An empty SQLite database with its tables. It is not brought to the disk: no test here cuts the power."""
    opened = open_sqlite(Path(shutil.copy(sqlite_file, tmp_path / "kiln.sqlite")))
    event.listen(opened.engine, "connect", lambda connection, _: connection.execute("PRAGMA synchronous=OFF"))
    yield opened
    opened.close()


@pytest.fixture
def ceph_pool(ceph, tmp_path):
    """A pool on Ceph that nobody else has."""
    kind, scratch = RbdKind(), tmp_path / "pool"
    kind.ceph = ceph
    scratch.mkdir()
    yield kind.open(scratch)
    kind.close()


@pytest.fixture
def cloud(engine, database, tmp_path, request):
    """A whole Kiln without HTTP, with real disks and machines that are only states."""
    return make_cloud(tmp_path, database, pool=request.getfixturevalue("ceph_pool") if engine == "ceph" else None)
