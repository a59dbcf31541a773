"""What migrations there are, and whether tables are what is declared. To load it takes as long as to load Alembic."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files
from typing import Any

from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Column, Index, Table

from kiln.ground.values import dataclass
from kiln.store.database import Database
from kiln.store.rows import metadata
from kiln.store.schema import name_conditions_for_postgresql


@dataclass(frozen=True)
class Step:
    """One migration."""

    number: str
    about: str


def steps_after(found: str) -> list[Step]:
    """The migrations that tables of version *found* lack, the first first."""
    config = Config()
    config.set_main_option("script_location", str(files("kiln.store") / "migrations"))
    known = ScriptDirectory.from_config(config).walk_revisions()
    steps = [Step(one.revision, (one.doc or "").partition("\n")[0]) for one in known if one.revision > found]
    return sorted(steps, key=lambda step: step.number)


def differences(database: Database) -> list[str]:
    """How the tables, which are of the newest version, differ from what is declared; others' tables are theirs.

    Somebody has changed them by hand then, or a migration was not carried out to its end.
    """
    name_conditions_for_postgresql()
    with database.engine.connect() as connection:
        found = compare_metadata(MigrationContext.configure(connection), metadata)
    return [said for one in _flat(found) if (said := _said(one))]


def _flat(found: Any) -> Iterator[Any]:
    """Alembic has what is to be changed of one column in a list of its own."""
    for one in found:
        if isinstance(one, list):
            yield from one
        else:
            yield one


def _said(difference: Any) -> str:
    """What is to be done, in Alembic's words (``add_column``), and to what; empty of a table that is not ours."""
    what, *about = difference
    if what == "remove_table":
        return ""
    names = [one for one in about if isinstance(one, str)]
    for one in about[:3]:
        names += [str(one.table.name)] if isinstance(one, Index) and one.table is not None else []
        names += [str(one.name)] if isinstance(one, Table | Column | Index) else []
    return f"{what.replace('_', ' ')} {'.'.join(names)}"
