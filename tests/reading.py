"""Looking at rows in tests."""

from __future__ import annotations

from typing import Any, TypeVar

from kiln.store.rows import Rows
from tests.clouds import Cloud

Row = TypeVar("Row")


def the(cloud: Cloud, rows: Rows[Row], **equal: Any) -> Row:
    """The one row with these values, which must be there."""
    found = find(cloud, rows, **equal)
    assert found is not None, equal
    return found


def find(cloud: Cloud, rows: Rows[Row], **equal: Any) -> Row | None:
    """The one row with these values, or None."""
    with cloud.ports.database.read() as tx:
        return rows.find(tx, **equal)


def every(cloud: Cloud, rows: Rows[Row], **equal: Any) -> list[Row]:
    """All rows with these values."""
    with cloud.ports.database.read() as tx:
        return rows.all(tx, **equal)
