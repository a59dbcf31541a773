"""Statements of PostgreSQL that may take as long as they take, where each has a bound otherwise."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, text


@contextmanager
def unhurried(connection: Connection) -> Iterator[None]:
    """Let the statements of this connection's transaction take as long as they take; what they wait for stays bounded.

    A table of a million rows is copied or made anew in one of them. SQLite has no such bound.
    """
    if connection.dialect.name == "sqlite":
        yield
        return
    raw: Any = connection.connection.driver_connection
    before, raw.patience_s = raw.patience_s, None
    try:
        connection.execute(text("SET LOCAL statement_timeout = 0"))
        yield
    finally:
        raw.patience_s = before
