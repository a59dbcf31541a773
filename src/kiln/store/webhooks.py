"""Webhooks, and what is still to be told by them. Their secrets lie here sealed.

A parcel is one event on its way to one webhook. It is written in the transaction
that it tells of, and goes when it was delivered, or given up.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import Index, func, select

from kiln.ground.values import dataclass
from kiln.store.database import Transaction
from kiln.store.order import Order, newest_first
from kiln.store.rows import Recorded, Rows

OWN = "webhook"  #: The noun of what is told of the webhook itself: a test.

SECRET_PREFIX = "whsec_"  # noqa: S105 - how Standard Webhooks begins every secret.


@dataclass(frozen=True, kw_only=True)
class Webhook:
    """One webhook. Times are seconds since the epoch; 0 is never."""

    id: str
    account: str
    url: str
    types: str  #: Of the events that it is told, separated by commas; empty: all.
    sealed_secret: str
    created_at: float
    is_on: bool = True
    why_off: str = ""
    pending_test: bool = False  #: Whether one that is off is tried for the sake of a test.
    failures: int = 0  #: One after the other, since the last success.
    failing_since: float = 0.0
    not_before: float = 0.0  #: The next try.
    tried_at: float = 0.0
    last_status: int = 0  #: Of the last answer; 0 where none came.
    last_error: str = ""  #: Empty where the last try was a success.
    delivered: int = 0
    missed: int = 0  #: Events that were given up, and of which it was not told yet.
    missed_before: int = 0  #: Those of which it was told.


@dataclass(frozen=True, kw_only=True)
class Parcel:
    """One event for one webhook; its fields are those of a change."""

    seq: int  #: Order of telling: nanoseconds since the epoch, or a little more.
    webhook: str
    event: str  #: The ID of the event, the same at each try.
    at: float  #: When it happened.
    noun: str
    id: str
    old: str | None
    new: str | None
    account: str
    region: str
    name: str
    attempts: int = 0  #: Tries that failed.


#: How it fares changes with each event, and means nothing to another run: what its record has in place of that. Of one
#: that comes back it is not known what waited, so it is told that it has missed something.
FARING: Mapping[str, Any] = {
    "pending_test": False,
    "failures": 0,
    "failing_since": 0.0,
    "not_before": 0.0,
    "tried_at": 0.0,
    "last_status": 0,
    "last_error": "",
    "delivered": 0,
    "missed": 1,
}

webhooks: Rows[Webhook] = Rows(
    "webhooks",
    Webhook,
    indexes=[Index("webhooks_account", "account")],
    recorded=Recorded("webhook", passing=frozenset(FARING)),
)
parcels: Rows[Parcel] = Rows(
    "webhook_parcels", Parcel, key=("seq",), indexes=[Index("webhook_parcels_webhook", "webhook", "seq")]
)

NEWEST: Order = newest_first(webhooks.c)


def waiting(tx: Transaction, ids: Sequence[str]) -> dict[str, int]:
    """How many events wait for each of these webhooks."""
    c = parcels.c
    statement = select(c.webhook, func.count().label("many")).where(c.webhook.in_(ids)).group_by(c.webhook)
    return dict.fromkeys(ids, 0) | {row.webhook: row.many for row in tx.execute(statement)}


def owed(tx: Transaction) -> list[Webhook]:
    """The webhooks that have something to be told."""
    something = select(parcels.c.seq).where(parcels.c.webhook == webhooks.c.id).exists()
    may_be_told = webhooks.c.is_on | webhooks.c.pending_test
    return webhooks.all(tx, may_be_told, something | (webhooks.c.missed > 0))


def forgotten(tx: Transaction) -> list[str]:
    """The webhooks that are gone and for which something waits, from transactions that ran while they were deleted."""
    statement = select(parcels.c.webhook).distinct().where(parcels.c.webhook.not_in(select(webhooks.c.id)))
    return [row[0] for row in tx.execute(statement)]


def next_parcels(tx: Transaction, webhook: str, most: int, held: Collection[str] = ()) -> list[Parcel]:
    """The next that it is told, but for those of resources that are *held*.

    Those of each resource are in their order, and those of which none failed yet come first.
    """
    c = parcels.c
    of_webhook = select(parcels.table).where(c.webhook == webhook).order_by(c.seq).limit(most)
    failed = {row[0] for row in tx.execute(select(c.id).where(c.webhook == webhook, c.attempts > 0).distinct())}
    found = parcels.rows(
        tx, of_webhook.where(c.id.not_in(sorted(failed.union(held)))) if failed or held else of_webhook
    )
    again = failed.difference(held)
    if again and len(found) < most:
        found += parcels.rows(tx, of_webhook.where(c.id.in_(sorted(again))).limit(most - len(found)))
    return found


def held_up(tx: Transaction, ids: Sequence[str]) -> dict[str, int]:
    """How many events of each of these webhooks wait since one of their resource failed, with that one."""
    c = parcels.c
    of_each = select(c.webhook, func.count().label("many")).where(c.webhook.in_(ids)).group_by(c.webhook, c.id)
    found = dict.fromkeys(ids, 0)
    for row in tx.execute(of_each.having(func.max(c.attempts) > 0)):
        found[row.webhook] += row.many
    return found


def latest_seq(tx: Transaction) -> int:
    """The last number that a parcel has; 0 where there is none."""
    return int(tx.execute(select(func.max(parcels.c.seq))).scalar() or 0)
