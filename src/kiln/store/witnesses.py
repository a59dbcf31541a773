"""What a table says and what its index says, asked apart.

A disk may lose one write, and then a page of an index is older than its table,
or the other way round. SQLite does not notice, and answers from whichever it
reads. Whoever decides to destroy something asks both, and takes as named what
either of them names. PostgreSQL keeps its own order, and is asked once.
"""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import bindparam, text

from kiln.ground.values import dataclass
from kiln.store.database import Transaction


@dataclass(frozen=True)
class Reference:
    """A column whose values are names of something else, and the index on it."""

    table: str
    column: str
    index: str


@dataclass(frozen=True)
class Testimony:
    """Which of the values that were asked for are there; the two are the same while all is well."""

    by_table: frozenset[str]
    by_index: frozenset[str]

    @property
    def by_either(self) -> frozenset[str]:
        """What one of them names at least."""
        return self.by_table | self.by_index

    @property
    def disputed(self) -> frozenset[str]:
        """What one of them names and the other does not."""
        return self.by_table ^ self.by_index


def testify(tx: Transaction, reference: Reference, values: Collection[str]) -> Testimony:
    """Which of *values* the column has. Reads the whole table, so ask for many at once."""
    if not values:
        return Testimony(frozenset(), frozenset())
    if tx.dialect.name != "sqlite":
        found = _ask(tx, reference, "", values)
        return Testimony(found, found)
    # SQLite reads the table alone where it may use no index, and the index alone where that has all that is asked.
    by_table = _ask(tx, reference, "NOT INDEXED", values)
    return Testimony(by_table, _ask(tx, reference, f"INDEXED BY {reference.index}", values))


def _ask(tx: Transaction, reference: Reference, how: str, values: Collection[str]) -> frozenset[str]:
    column = reference.column
    statement = text(f"SELECT DISTINCT {column} FROM {reference.table} {how} WHERE {column} IN :names")  # noqa: S608
    asked = tx.execute(statement.bindparams(bindparam("names", expanding=True)), {"names": list(values)})
    return frozenset(row[0] for row in asked)
