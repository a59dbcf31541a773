"""What has changed: the store tells every change of state once it is committed, and whoever listens looks again.

    rows.insert / move / update / delete      notes a Change in the transaction
    database.write                            commits, then tells the hub
    hub -> listener -> listener's own thread  looks at the rows

A Change is news and not the truth: the rows are. Of one resource changes are
told in the order in which they were committed, and never those of a
transaction that was rolled back. Who tells is a writer in the middle of its
work, so an ear does next to nothing when it is told. A listener is one: a
bounded queue, emptied by a thread of its own; one that lags loses what lies in
it and is told so.

Changes of other processes come from a herald (``store/herald.py``), in no order
between processes. What it lost, and what a lost queue held, is found by looking at
the rows now and then, as every listener has to.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Collection, Sequence
from typing import NamedTuple, Protocol, Self

from kiln.ground.journal import Journal
from kiln.ground.values import dataclass

log = Journal("kiln.store")

#: Of one listener; what a burst of a second leaves. Some 200 KiB when it is full.
MOST_WAITING = 1024

#: Resources whose changes are committed one after the other share one lock of so many.
_STRIPES = 64


class Change(NamedTuple):
    """That a resource came, went, or has another state."""

    noun: str  #: image, snapshot, disk, instance, task, eip or vpc.
    id: str
    old: str | None  #: Its status before; None: there was none of that ID.
    new: (
        str | None
    )  #: Its status now, the old one where something else is to be seen, as its progress; None: it is gone.
    account: str  #: Whose it is.
    is_shown: bool = True  #: Whether some answer shows it to its account; most tasks are Kiln's own business.
    region: str = ""  #: Empty for what is in none.
    name: str = ""  #: What its account calls it; empty for what has no name.

    @property
    def is_of_state(self) -> bool:
        """Whether its state is another one now, or it came, or it went; else its progress can be seen."""
        return self.old != self.new


@dataclass(frozen=True)
class Told:
    """Which rows have states: of which noun they are, and what else of them can be seen to move on."""

    noun: str
    seen: frozenset[str] = frozenset()  #: Columns whose change is told as one in which the status stays.
    shown: str = ""  #: The column that says whether its account is shown the row; empty: as the next says.
    is_shown: bool = True  #: Whether its account is told at all. Not of what only Kiln itself waits for.


class News(NamedTuple):
    """What a listener finds in its queue."""

    changes: tuple[Change, ...] = ()
    has_missed: bool = False  #: Whether others were told before these, and are lost: all has to be looked at again.


class Ear(Protocol):
    """Who is told."""

    def put(self, changes: Sequence[Change], /) -> None:
        """Hear *changes*, on the thread of their writer: quickly, and waiting for nobody."""


class Listener:
    """A queue of changes, filled by writers and emptied by one thread. Made by ``Hub.listen``, ended by ``close``."""

    def __init__(self, hub: Hub, nouns: Collection[str] | None, most: int) -> None:
        self._hub = hub
        self._nouns = None if nouns is None else frozenset(nouns)
        self._most = most
        self._waiting: deque[Change] = deque()
        self._has_missed = False
        self._is_woken = False
        self._bell = threading.Condition(threading.Lock())

    def take(self, timeout_s: float | None = None) -> News:
        """What was told since the last time; waits for something until *timeout_s* is over, or ``wake`` is called."""
        with self._bell:
            if not (self._waiting or self._has_missed or self._is_woken):
                self._bell.wait(timeout_s)
            news = News(tuple(self._waiting), self._has_missed)
            self._waiting.clear()
            self._has_missed = self._is_woken = False
        return news

    def wake(self) -> None:
        """Have ``take`` return, now or the next time, whether there is anything or not."""
        with self._bell:
            self._is_woken = True
            self._bell.notify_all()

    def miss(self) -> None:
        """Have ``take`` say that something was missed; for the hub alone."""
        with self._bell:
            self._has_missed = True
            self._bell.notify_all()

    def close(self) -> None:
        """Hear no more; who waits is woken."""
        self._hub.forget(self)
        self.wake()

    def put(self, changes: Sequence[Change]) -> None:
        """Add *changes*, or lose all that waits with them; for the hub alone. Never waits for the listener's thread."""
        if self._nouns is not None:
            changes = [change for change in changes if change.noun in self._nouns]
            if not changes:
                return
        with self._bell:
            if len(self._waiting) + len(changes) > self._most:
                self._waiting.clear()
                self._has_missed = True
            else:
                self._waiting.extend(changes)
            self._bell.notify_all()


class Hub:
    """Tells every ear what changed. Used from any thread."""

    def __init__(self) -> None:
        #: Who is told. Replaced as a whole when somebody comes or goes, so that telling takes no lock.
        self.ears: tuple[Ear, ...] = ()
        self._coming = threading.Lock()
        self._stripes = [threading.Lock() for _ in range(_STRIPES)]

    def listen(self, nouns: Collection[str] | None = None, most: int = MOST_WAITING) -> Listener:
        """A listener that hears what is committed from now on; of *nouns* alone, where some are named."""
        listener = Listener(self, nouns, most)
        self.attach(listener)
        return listener

    def attach(self, ear: Ear) -> None:
        """Tell *ear* what is committed from now on."""
        with self._coming:
            self.ears = (*self.ears, ear)

    def forget(self, ear: Ear) -> None:
        """Tell *ear* no more."""
        with self._coming:
            self.ears = tuple(one for one in self.ears if one is not ear)

    def tell(self, changes: Sequence[Change]) -> None:
        """Tell what a transaction changed; for the database alone, after the commit and in the order of commits."""
        self.tell_all_but(None, changes)

    def tell_all_but(self, teller: Ear | None, changes: Sequence[Change]) -> None:
        """Tell what another process has changed, of which *teller* knows."""
        for ear in self.ears:
            try:
                if ear is not teller:
                    ear.put(changes)
            except Exception:
                # The transaction is durable: its writer must not be told anything else.
                log.exception("listener_failed")

    def miss(self) -> None:
        """Have every listener look at all again: what another process has told was lost."""
        for ear in self.ears:
            if isinstance(ear, Listener):
                ear.miss()

    def telling(self) -> Telling:
        """For one transaction, as long as it is not told."""
        return Telling(self._stripes)


class Telling:
    """Keeps others from committing changes of the same resources, until they are told; ends with its context.

    For a database that commits several transactions at once. What one of them
    changes the next can change only after its commit, and so comes here later.
    """

    def __init__(self, stripes: Sequence[threading.Lock]) -> None:
        self._stripes = stripes
        self._held: list[threading.Lock] = []

    def take(self, changes: Sequence[Change]) -> None:
        """Wait for those who commit changes of these resources; called once, before the commit."""
        # In one order, so that no two wait for each other.
        for number in sorted({hash((change.noun, change.id)) % len(self._stripes) for change in changes}):
            self._stripes[number].acquire()
            self._held.append(self._stripes[number])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for lock in self._held:
            lock.release()
