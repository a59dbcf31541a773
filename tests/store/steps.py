"""How many steps SQLite takes for what it is asked: what that costs, on a machine of any speed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from sqlalchemy import event

from kiln.store.database import Database, Transaction, open_sqlite


@contextmanager
def counted_steps(database: Database) -> Iterator[tuple[Transaction, list[None]]]:
    """A read of a SQLite, and as many entries as its statements have taken steps."""
    steps: list[None] = []
    with closing(open_sqlite(Path(database.engine.url.database or ""))) as again:
        event.listen(again.engine, "connect", lambda raw, _: raw.set_progress_handler(lambda: steps.append(None), 1))
        with again.read() as tx:
            tx.driver("SELECT 1 FROM images", ()).fetchall()  # A connection that is new reads all tables' names.
            steps.clear()
            yield tx, steps
