"""What webhooks are to be told, written into the transaction that it tells of.

So nothing that was committed is forgotten, and nothing is told that was rolled
back. Which accounts have a webhook is known in memory: a transaction that changes
nothing of theirs does no statement more.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable

from kiln.declare.cloud_events import type_of
from kiln.ground.clock import Clock, next_in_sequence, system_clock
from kiln.store.changes import Change
from kiln.store.database import Database, Transaction
from kiln.store.webhooks import OWN, Parcel, Webhook, accounts_told, parcels, webhooks

MOST_WAITING = 1000  #: Events for one webhook. What comes then is given up, and counted.


class Outbox:
    """See the module's docstring. Used from any thread."""

    def __init__(self, clock: Clock = system_clock, most_waiting: int = MOST_WAITING) -> None:
        self._clock = clock
        self._most = most_waiting
        self._accounts: frozenset[str] | None = None
        self._version = 0
        self._lock = threading.Lock()
        #: Called when there may be something to be told. Must be quick and raise nothing.
        self.ring: Callable[[], None] = lambda: None

    def attach(self, database: Database) -> None:
        """Have every transaction of *database* write its events."""
        database.enclose = self.write

    def changed(self) -> None:
        """Look again which accounts have a webhook; called after the commit that changed it."""
        with self._lock:
            self._version += 1
            self._accounts = None
        self.ring()

    def write(self, tx: Transaction) -> None:
        """Write what the transaction has changed for those who are to be told."""
        if not tx.changes:
            return
        accounts = self._accounts
        if accounts is None:
            accounts = self._look(tx)
        if accounts:
            told = [one for one in tx.changes if one.account in accounts and one.is_shown and one.is_of_state]
            for account in dict.fromkeys(one.account for one in told):
                for webhook in webhooks.all(tx, account=account, is_on=True):
                    self._write(tx, webhook, [one for one in told if one.account == account])

    def add_test(self, tx: Transaction, webhook: Webhook) -> str:
        """Have a webhook be told of a test; returns the ID of the event, which is that of one that waits already."""
        before = parcels.find(tx, webhook=webhook.id, noun=OWN)
        if before is not None:
            return before.event
        about = Change(OWN, webhook.id, None, "Test", webhook.account)
        (event,) = self._insert(tx, webhook, [about])
        return event

    def _look(self, tx: Transaction) -> frozenset[str]:
        version = self._version
        found = accounts_told(tx)
        with self._lock:
            # What another transaction changes is not seen here before its commit, which looks again.
            if version == self._version:
                self._accounts = found
        return found

    def _write(self, tx: Transaction, webhook: Webhook, changes: list[Change]) -> None:
        types = webhook.types.split(",") if webhook.types else ()
        wanted = [one for one in changes if not types or type_of(one.noun, one.old, one.new) in types]
        if not wanted:
            return
        room = max(0, self._most - parcels.count(tx, webhook=webhook.id))
        self._insert(tx, webhook, wanted[:room])
        if lost := len(wanted[room:]):
            webhooks.update(tx, {"missed": webhooks.c.missed + lost}, id=webhook.id)

    def _insert(self, tx: Transaction, webhook: Webhook, changes: list[Change]) -> list[str]:
        rows = [
            Parcel(
                seq=next_in_sequence(),
                webhook=webhook.id,
                event=str(uuid.uuid4()),
                at=self._clock(),
                noun=one.noun,
                id=one.id,
                old=one.old,
                new=one.new,
                account=one.account,
                region=one.region,
                name=one.name,
            )
            for one in changes
        ]
        parcels.insert(tx, *rows)
        tx.after_commit(self.ring)
        return [row.event for row in rows]
