"""The audit: a row for each call that changed something, written with the change, and some for calls that were refused.

A row holds what differs from call to call: the columns that it is looked for by, and the rest in JSON. A third of the
bytes of an event, it costs every change a third. Nothing refers to it, and nothing but age and number takes it away.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import Index, LargeBinary, case, cast, func, insert, select, text

from kiln.ground.values import dataclass
from kiln.store.database import Transaction
from kiln.store.order import Key, Order
from kiln.store.rows import Rows

_PIECE = 500  #: Rows that one transaction removes: some 5 ms in which nobody else writes.
_REST = 200  #: Bytes of a row beside its two long columns, with its place in the key.


@dataclass(frozen=True, kw_only=True)
class AuditEvent:
    """One call of one account."""

    account: str
    at: float
    id: str  #: The request's.
    service: str  #: Of the product by which it was called: ``Ecs``.
    name: str  #: The action.
    caller: str  #: ``root``, a person, or ``role:session``.
    access_key: str
    error: str  #: The code that it was refused with; empty where it took effect.
    resources: str  #: IDs that it named, and other names as ``ssh=mine``, each with a blank before and behind.
    detail: str  #: What else is told of it, in JSON: see ``kiln.operations.audit.parts.events``.


#: A constant, since SQLite takes the index for no other.
_refused = text("error <> ''")

#: A call pays for the key, to whose end the account's next row comes. Few rows are in the other index.
audit: Rows[AuditEvent] = Rows(
    "audit",
    AuditEvent,
    key=("account", "at", "id"),
    indexes=[Index("audit_refused", "account", "at", sqlite_where=_refused)],
)


def write(tx: Transaction, values: dict[str, Any]) -> None:
    """Add a row of these columns. Each change pays for it, so no row is made of them before."""
    audit.kept(tx, "write", lambda: insert(audit.table), values)


def order(*, falls: bool) -> Order:
    """By time; the newest first where it *falls*."""
    return (
        Key(audit.c.at, lambda row: row.at, float, falls=falls),
        Key(audit.c.id, lambda row: row.id, falls=falls),
    )


class Weight(NamedTuple):
    """How many rows there are, and what they take in the database, about; and likewise of refused calls alone."""

    events: int = 0
    bytes: int = 0
    refused_events: int = 0
    refused_bytes: int = 0

    def of(self, *, refused: bool) -> tuple[int, int]:
        """Events and bytes: of refused calls alone where these are meant."""
        return (self.refused_events, self.refused_bytes) if refused else (self.events, self.bytes)

    def __add__(self, other: Any) -> Weight:
        return Weight(*map(operator.add, self, other))

    def __sub__(self, other: Weight) -> Weight:
        return Weight(*map(operator.sub, self, other))


def accounts(tx: Transaction) -> list[str]:
    """The accounts that have rows: one step in the key for each, however many rows there are."""
    found: list[str] = []
    first = select(func.min(audit.c.account))
    while (following := tx.execute(first.where(audit.c.account > found[-1]) if found else first).scalar()) is not None:
        found.append(following)
    return found


def weigh(tx: Transaction, account: str, *, after: float | None = None, until: float | None = None) -> Weight:
    """What the account has of rows that are younger than one time, and no younger than another."""
    meant: list[Any] = [audit.c.account == account]
    if after is not None:
        meant.append(audit.c.at > after)
    if until is not None:
        meant.append(audit.c.at <= until)
    return _weigh(tx, meant)


def remove_oldest(
    tx: Transaction, account: str, most: int | None = None, *, before: float | None = None, refused: bool = False
) -> Weight:
    """Remove some of the account's oldest rows, *most* at most, or as many as one transaction should; returns them.

    Only what is older than *before*, where that is told, and of *refused* calls alone where these are meant.
    """
    meant: list[Any] = [audit.c.account == account]
    if refused:
        meant.append(_refused)
    if before is not None:
        meant.append(audit.c.at < before)
    oldest = select(audit.c.at).where(*meant).order_by(audit.c.at).limit(min(most or _PIECE, _PIECE)).subquery()
    until = tx.execute(select(func.max(oldest.c.at))).scalar()
    if until is None:
        return Weight()
    meant.append(audit.c.at <= until)
    weight = _weigh(tx, meant)
    audit.delete(tx, *meant)
    return weight


def _weigh(tx: Transaction, meant: Sequence[Any]) -> Weight:
    size = _octets(tx, audit.c.detail) + _octets(tx, audit.c.resources) + _REST
    is_refused = case((_refused, 1), else_=0)
    columns = (func.count(), func.sum(size), func.sum(is_refused), func.sum(size * is_refused))
    return Weight(*(int(one or 0) for one in tx.execute(select(*columns).where(*meant)).one()))


def _octets(tx: Transaction, column: Any) -> Any:
    # SQLite counts letters otherwise, and knows the other name only since 3.43.
    return func.length(cast(column, LargeBinary)) if tx.dialect.name == "sqlite" else func.octet_length(column)
