"""Statements that were compiled for one database are kept for the next one of the process.

SQLAlchemy keeps what it compiled with the engine, and each test has an engine of its own: a third of the processor
time of the tests that open a database went into compiling the same statements again. What is compiled depends on the
kind of database alone, as all of a kind are opened in the same way.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Engine, event
from sqlalchemy.util import LRUCache

_MOST = 4000


class _Kept:
    """What SQLAlchemy looks compiled statements up in, where the kind of database stands for the one database."""

    def __init__(self) -> None:
        self._statements: LRUCache[Any, Any] = LRUCache(_MOST)

    def get(self, key: Any, otherwise: Any = None) -> Any:
        return self._statements.get(_of_kind(key), otherwise)

    def __setitem__(self, key: Any, compiled: Any) -> None:
        self._statements[_of_kind(key)] = compiled


_KEPT = _Kept()


def share() -> None:
    """Have every database that this process opens look its statements up among those of all of its kind."""
    if not event.contains(Engine, "engine_connect", _look_there):
        event.listen(Engine, "engine_connect", _look_there)


def _look_there(connection: Connection) -> None:
    connection.execution_options(compiled_cache=_KEPT)


def _of_kind(key: Any) -> Any:
    dialect, *others = key
    return (type(dialect), *others)
