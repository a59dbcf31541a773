"""What narrows a list, where an operation cannot say it with the columns alone."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, false

from kiln.store.rows import Rows

Condition = ColumnElement[bool]

NOTHING: Condition = false()  #: No row meets it: a filter asks for what there is none of here.


def comes_after(rows: Rows[Any], created_at: float, row_id: str) -> Condition:
    """That a row stands below the one of that age and ID in a list with the newest first."""
    return (rows.c.created_at < created_at) | ((rows.c.created_at == created_at) & (rows.c.id < row_id))
