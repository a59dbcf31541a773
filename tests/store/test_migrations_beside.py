"""Each new migration only adds, so that the program of the version before works on while the next begins."""

from __future__ import annotations

from importlib.resources import files

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine, text

from kiln.store.database import open_postgresql, open_sqlite
from kiln.store.migrating import steps_after
from tests.store.compatible import broken_by, shape_of, speak, tables_of

#: The newest migration of before the rule.
_BEFORE_THE_RULE = "0022"

STEPS = [step.number for step in steps_after(_BEFORE_THE_RULE)]


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def empty(request, tmp_path):
    """A database of each kind, without tables."""
    if request.param == "sqlite":
        opened = open_sqlite(tmp_path / "migrated.sqlite")
    else:
        opened = open_postgresql(request.getfixturevalue("postgresql_address"))
    yield opened.engine
    opened.close()


def migrate(engine, number):
    config = Config()
    config.set_main_option("script_location", str(files("kiln.store") / "migrations"))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, number)


def test_the_statements_of_the_version_before_still_run(empty):
    """One test for all steps: each of them begins where the one before has ended."""
    migrate(empty, _BEFORE_THE_RULE)
    before = tables_of(empty)
    for number in STEPS:
        migrate(empty, number)
        after = tables_of(empty)
        assert (number, list(broken_by(shape_of(before), shape_of(after)))) == (number, [])
        with empty.begin() as connection:
            speak(connection, before)
        before = after
    with empty.begin() as connection:
        speak(connection, before)


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("DROP TABLE one", "the table one is gone"),
        ("ALTER TABLE one DROP COLUMN b", "the column one.b is gone"),
        ("ALTER TABLE one RENAME COLUMN b TO c", "the column one.b is gone"),
        ("ALTER TABLE one ADD COLUMN c TEXT NOT NULL", "the new column one.c has neither a default nor NULL"),
        ("ALTER TABLE one ALTER COLUMN b SET NOT NULL", "the column one.b refuses NULL now"),
        ("ALTER TABLE one ALTER COLUMN b TYPE VARCHAR(3)", "the column one.b is of another type"),
        ("CREATE UNIQUE INDEX two ON one (b)", "one refuses what it took: the unique index two"),
        ("ALTER TABLE one ADD CHECK (b <> '')", "one refuses what it took: check_constraints"),
    ],
)
@pytest.mark.postgresql
def test_what_the_version_before_cannot_work_with_is_named(statement, said, postgresql_address):
    engine = open_postgresql(postgresql_address).engine
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE one (a TEXT PRIMARY KEY, b TEXT)"))
    before = shape_of(tables_of(engine))
    with engine.begin() as connection:
        connection.execute(text(statement))
    assert list(broken_by(before, shape_of(tables_of(engine)))) == [said]
    engine.dispose()


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE two (a TEXT)",
        "ALTER TABLE one ADD COLUMN c TEXT",
        "ALTER TABLE one ADD COLUMN c TEXT NOT NULL DEFAULT ''",
        "CREATE INDEX two ON one (b)",
    ],
)
def test_what_is_added_breaks_nothing(statement):
    engine = create_engine("sqlite://")
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE one (a TEXT PRIMARY KEY, b TEXT)"))
        tables = tables_of(connection)
        connection.execute(text(statement))
        assert list(broken_by(shape_of(tables), shape_of(tables_of(connection)))) == []
        speak(connection, tables)
    engine.dispose()
