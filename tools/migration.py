"""Writes a migration from the difference between the tables as declared and as migrations make them.

    .venv/bin/python tools/migration.py 0002 "disks remember their host"

Read what it wrote: a renamed column looks to it like one dropped and one added.
"""

from __future__ import annotations

import sys
import tempfile
from importlib.resources import files
from pathlib import Path

from alembic import command
from alembic.config import Config

from kiln.store import schema
from kiln.store.database import open_sqlite


def main(number: str, message: str) -> None:
    """Write the file."""
    config = Config()
    config.set_main_option("script_location", str(files("kiln.store") / "migrations"))
    config.set_main_option("file_template", "%%(rev)s_%%(slug)s")
    with tempfile.TemporaryDirectory() as folder:
        database = open_sqlite(Path(folder) / "empty.sqlite")
        with database.engine.connect() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
            command.revision(config, message, autogenerate=True, rev_id=number)
        database.close()
    print(f"written; set schema.NEWEST to {number!r} (it is {schema.NEWEST!r})")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
