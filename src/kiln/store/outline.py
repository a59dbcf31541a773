"""What a report may tell of a database, and what it must not: told by the columns' names, so of every table there is.

A column that is named as one below counts, whoever adds it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from sqlalchemy import func, select

from kiln.store.database import Transaction
from kiln.store.rows import metadata

_STATES = ("status", "state")
_SECRET = re.compile("secret|sealed|password|passwd|token|credential|private|user_data|content|cookie|^url$")
_NAMELESS = ("deployment", "recorded", "service_time")  #: Whose keys are words of ours.
_NAME = re.compile("(^|_)(name|names|email|description|family|label|value|key)$")


def counts(tx: Transaction) -> dict[str, dict[str, int]]:
    """How many rows each table has, in all and in each state."""
    told: dict[str, dict[str, int]] = {}
    for table in metadata.sorted_tables:
        told[table.name] = {"": int(tx.execute(select(func.count()).select_from(table)).scalar() or 0)}
        for column in (table.c[name] for name in _STATES if name in table.c):
            found: Any = tx.execute(select(column, func.count()).group_by(column))
            told[table.name] |= {str(state): int(count) for state, count in found}
    return told


def secrets(tx: Transaction) -> Iterator[str]:
    """Every text in a column that may hold a secret: as it lies there, sealed or in Base64."""
    yield from _texts(tx, _SECRET)


def names(tx: Transaction) -> Iterator[str]:
    """Every text that somebody gave to something to tell it by."""
    yield from _texts(tx, _NAME)


def _texts(tx: Transaction, named: re.Pattern[str]) -> Iterator[str]:
    for table in (one for one in metadata.sorted_tables if one.name not in _NAMELESS):
        for column in table.c:
            if named.search(column.name):
                yield from (text for text in tx.execute(select(column).distinct()).scalars() if isinstance(text, str))
