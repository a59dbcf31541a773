"""The audit: a row for each call that changed something, written with the change, and some for calls that were refused.

A row holds what differs from call to call: the columns that it is looked for by, and the rest in JSON. A third of the
bytes of an event, it costs every change a third. Nothing refers to it, and nothing but age and number takes it away.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Index, func, insert, select, text

from kiln.ground.values import dataclass
from kiln.store.database import Transaction
from kiln.store.order import Key, Order
from kiln.store.rows import Rows

_PIECE = 500  #: Rows that one transaction removes: some 5 ms in which nobody else writes.


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


def counts(tx: Transaction, *, refused: bool = False) -> dict[str, int]:
    """How many rows each account has; of *refused* calls alone where these are meant."""
    counted = select(audit.c.account, func.count()).group_by(audit.c.account)
    rows: Any = tx.execute(counted.where(_refused) if refused else counted)
    return dict(rows.fetchall())


def remove_oldest(
    tx: Transaction, account: str, most: int | None = None, *, before: float | None = None, refused: bool = False
) -> int:
    """Remove some of the account's oldest rows, *most* at most, or as many as one transaction should; returns how many.

    Only what is older than *before*, where that is told, and of *refused* calls alone where these are meant.
    """
    meant: list[Any] = [audit.c.account == account]
    if refused:
        meant.append(_refused)
    if before is not None:
        meant.append(audit.c.at < before)
    oldest = select(audit.c.at).where(*meant).order_by(audit.c.at).limit(min(most or _PIECE, _PIECE)).subquery()
    until = tx.execute(select(func.max(oldest.c.at))).scalar()
    return 0 if until is None else audit.delete(tx, *meant, audit.c.at <= until)
