"""What webhooks are to be told, written into the transaction that it tells of.

So nothing that was committed is forgotten, and nothing is told that was rolled
back. Which webhooks there are, and how much waits for each, is known in memory: a
transaction that changes nothing of theirs does no statement more, and one that
does only adds rows. Were it to read what others add, PostgreSQL would have them
run again, one after the other.
"""

from __future__ import annotations

import threading
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Mapping

from kiln.declare.cloud_events import type_of
from kiln.ground.clock import Clock, next_in_sequence, system_clock
from kiln.ground.values import dataclass
from kiln.store.changes import Change
from kiln.store.database import Database, Transaction
from kiln.store.webhooks import OWN, Parcel, parcels, waiting, webhooks

MOST_WAITING = 1000  #: Events for one webhook, or some more. What comes then is given up, and counted.


@dataclass
class _Queue:
    """What is known of a webhook that is on."""

    id: str
    types: frozenset[str]  #: Empty: all.
    waiting: int

    def wants(self, change: Change) -> bool:
        return not self.types or type_of(change.noun, change.old, change.new) in self.types


class Outbox:
    """See the module's docstring. Used from any thread, once it is attached."""

    def __init__(self, clock: Clock = system_clock, most_waiting: int = MOST_WAITING) -> None:
        self._clock = clock
        self.most_waiting = most_waiting
        self._database: Database | None = None
        #: By account; None: somebody has to look.
        self._known: Mapping[str, list[_Queue]] | None = None
        self._version = 0
        self._lost: Counter[str] = Counter()
        self._lock = threading.Lock()
        #: Called when there may be something to be told. Must be quick and raise nothing, as the next.
        self.ring: Callable[[], None] = lambda: None
        #: Called when there are other webhooks than before: other processes remember those that there were.
        self.spread: Callable[[], None] = lambda: None

    def attach(self, database: Database) -> None:
        """Have every transaction of *database* write its events."""
        self._database = database
        database.enclose = self.write

    def changed(self) -> None:
        """Look again which webhooks there are; called after the commit that changed it."""
        self.spread()
        self.changed_elsewhere()

    def changed_elsewhere(self) -> None:
        """Look again which webhooks there are, which another process has changed."""
        self.look_again()
        self.ring()

    def look_again(self) -> None:
        """Believe nothing of what is known."""
        with self._lock:
            self._version += 1
            self._known = None

    def write(self, tx: Transaction) -> None:
        """Write what the transaction has changed for those who are to be told."""
        if not tx.changes:
            return
        known = self._known
        if known is None:
            known = self._look()
        if not known:
            return
        for account in dict.fromkeys(one.account for one in tx.changes):
            for queue in known.get(account, ()):
                self._write(tx, queue, [one for one in tx.changes if one.account == account])

    def add_test(self, tx: Transaction, webhook: str, account: str) -> str:
        """Have a webhook be told of a test; returns the ID of the event, which is that of one that waits already."""
        before = parcels.find(tx, webhook=webhook, noun=OWN)
        if before is not None:
            # With one that has not failed yet all that waits is tried: see ``kiln.upkeep.delivery``.
            parcels.update(tx, {"attempts": 0}, seq=before.seq)
            tx.after_commit(self.ring)
            return before.event
        (event,) = self._insert(tx, webhook, [Change(OWN, webhook, None, "Test", account)])
        tx.after_commit(self.ring)
        return event

    def take_lost(self) -> Mapping[str, int]:
        """How many events there was no room for since the last time, by webhook; whoever takes it writes it down."""
        with self._lock:
            lost, self._lost = self._lost, Counter()
        return lost

    def lose(self, lost: Mapping[str, int]) -> None:
        """Count events that nobody will be told of, by webhook."""
        with self._lock:
            self._lost.update(lost)

    def took(self, webhook: str, count: int) -> None:
        """So many do not wait for a webhook any more."""
        with self._lock:
            for queue in (one for queues in (self._known or {}).values() for one in queues):
                if queue.id == webhook:
                    queue.waiting -= count

    def _look(self) -> Mapping[str, list[_Queue]]:
        assert self._database is not None  # It is attached.
        version = self._version
        with self._database.read() as tx:
            rows = webhooks.all(tx, is_on=True)
            counts = waiting(tx, [row.id for row in rows]) if rows else {}
        queues: dict[str, list[_Queue]] = {}
        for row in rows:
            types = frozenset(filter(None, row.types.split(",")))
            queues.setdefault(row.account, []).append(_Queue(row.id, types, counts[row.id]))
        with self._lock:
            # What another transaction changes is not seen here before its commit, after which all is looked at again.
            if version == self._version:
                self._known = queues
        return queues

    def _write(self, tx: Transaction, queue: _Queue, changes: Iterable[Change]) -> None:
        wanted = [one for one in changes if one.is_shown and one.is_of_state and queue.wants(one)]
        if not wanted:
            return
        room = max(0, self.most_waiting - queue.waiting)
        self._insert(tx, queue.id, wanted[:room])

        def count() -> None:
            with self._lock:
                queue.waiting += len(wanted[:room])
            if lost := len(wanted[room:]):
                self.lose({queue.id: lost})
            self.ring()

        tx.after_commit(count)

    def _insert(self, tx: Transaction, webhook: str, changes: Iterable[Change]) -> list[str]:
        rows = [
            Parcel(
                seq=next_in_sequence(),
                webhook=webhook,
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
        return [row.event for row in rows]
