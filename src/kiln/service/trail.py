"""The audit of all accounts, for who has the data folder: the service tells an account its own events alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from kiln.declare.shapes import spell
from kiln.operations.audit.parts.events import condition, draw
from kiln.store.audit import audit, order
from kiln.store.database import Database
from kiln.store.order import is_below, position_of

_PAGE = 500


def told(database: Database, since: float, wanted: Sequence[tuple[str, str]]) -> Iterator[dict[str, Any]]:
    """Every event from a time on of which all that is *wanted* holds (see ``KEYS``), the oldest first, page by page."""
    forward = order(falls=False)
    conditions = [audit.c.at >= since, *(condition(key, value) for key, value in wanted)]
    below: list[Any] = []
    while True:
        with database.read() as tx:
            rows = audit.page(tx, *conditions, *below, order=forward, limit=_PAGE)
        yield from (spell(draw(row)) for row in rows)
        if len(rows) < _PAGE:
            return
        below = [is_below(forward, position_of(forward, rows[-1]))]
