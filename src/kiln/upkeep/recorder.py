"""The recorder: has the pool's records follow the database, and knows what they say.

The database tells it after every commit of which resources something changed. A
thread of its own gathers that for a moment, and writes down how these stand now;
no request waits for it. What a kill takes out of its memory the next start finds
by comparing everything, in the background too.

Every batch has a number, and the database commits it before the pool has it. So
a database that knows a smaller one than the pool is an older copy.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Iterator

from kiln.ground.journal import Journal
from kiln.ground.killpoints import reach
from kiln.ground.threads import ended
from kiln.pools.errors import PoolError
from kiln.pools.port import Pool, Records
from kiln.store import deployment, documents
from kiln.store.database import Database, Transaction
from kiln.store.errors import DatabaseBusy, DatabaseDown, DatabaseFull, DatabaseMalformed

GATHER_S = 0.5  #: Between a change and its record; what changes several times meanwhile is written once.
_REST_S = 5.0  #: After a batch that could not be written.
_PAGE = 16  #: Resources that are compared in one transaction.
_BREATH_S = 0.002  #: Between two of these, for requests to come in.
_TOGETHER = 8  #: Resources of a kind that are read together.
#: Between those and the next: a thread that computes on makes every other wait for Python's lock at each turn.
_PAUSE_S = 0.002

log = Journal("kiln.upkeep")


def naming(pool: Pool, volume: str) -> list[tuple[str, str]]:
    """Which resources the pool's records say name *volume*: their kinds (``snapshot``, ``disk``) and IDs.

    The database's second witness: what is named here is not deleted, whatever the
    tables say. A record comes up to a second after its row and goes up to a second
    after it. Raises PoolError, OSError where the records cannot be read.
    """
    return pool.records.naming(volume)


def _in_parts(changed: Iterable[tuple[str, str]]) -> Iterator[tuple[str, list[str]]]:
    """These by kind, some at a time: what is named before what names it.

    Written so, and what is gone behind it and the other way round, a batch that was cut short names nothing that is
    not there.
    """
    by_kind: dict[str, list[str]] = {kind: [] for kind in documents.KINDS}
    for kind, name in sorted(changed):
        by_kind[kind].append(name)
    for kind, names in by_kind.items():
        for first in range(0, len(names), _TOGETHER):
            yield kind, names[first : first + _TOGETHER]


class Recorder:
    """See the module's docstring. Started by ``start``, ended by ``stop``; both once."""

    def __init__(
        self,
        database: Database,
        records: Records,
        deployment_id: str,
        *,
        when_compared: Callable[[], object] = lambda: None,
    ) -> None:
        self._database = database
        self._when_compared = when_compared  # Called once, when all that there was at the start has been read.
        self._records = records
        self._deployment = deployment_id
        self._changed: set[tuple[str, str]] = set()
        self._batch = 0  # The last one that this process knows the database to have.
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, name="recorder")

    def start(self) -> None:
        """Begin to follow; all that is there already is compared first."""
        tell_others = self._database.tell

        def tell(changed: Collection[tuple[str, str]]) -> None:
            tell_others(changed)
            self.note(changed)

        self._database.tell = tell
        self._thread.start()

    def stop(self) -> None:
        """Write down what is still to be, as far as it can be, and end."""
        self._stopping.set()
        self._wake.set()
        self._thread.join()

    def dead(self) -> list[str]:
        """The name of its thread, if that has ended although nobody stopped it."""
        return [] if self._stopping.is_set() else ended([self._thread])

    def note(self, changed: Collection[tuple[str, str]]) -> None:
        """Take in that something of these changed."""
        with self._lock:
            self._changed.update(changed)
        self._wake.set()

    def compare(self, kinds: Iterable[str] = documents.KINDS) -> None:
        """Have everything of these kinds that differs written with the next batches."""
        for kind in kinds:
            for _ in self._differing(kind):
                if self._stopping.wait(_BREATH_S):
                    return

    def flush(self) -> None:
        """Write down what was noted up to now; it stays noted where this raises PoolError, OSError, or as ``write``."""
        with self._lock:
            changed, self._changed = self._changed, set()
        if not changed:
            return
        try:
            batch = self._database.write(deployment.next_batch)
            self._require_onward(batch)
            reach("recorder.numbered")
            with self._database.read() as tx:
                gone = []
                for kind, names in _in_parts(changed):
                    for name, said in documents.some(tx, kind, names).items():
                        if said is None:
                            gone.append((kind, name))
                        else:
                            self._put(kind, name, said)
                    self._stopping.wait(_PAUSE_S)
            for kind, name in reversed(gone):
                self._put(kind, name, None)
            self._records.flush(batch, self._deployment)
            reach("recorder.flushed")
        except BaseException:
            self.note(changed)
            raise

    def _require_onward(self, batch: int) -> None:
        """Stop every write where the database has forgotten batches. Raises DatabaseMalformed.

        A standby that lacks the last commits may have taken the server's place. What they were about is in the pool.
        """
        if batch <= self._batch:
            said = f"it knew of {self._batch} batches of records and now of {batch - 1}: an older server has taken over"
            self._database.found_damaged(said)
            raise DatabaseMalformed(said)
        self._batch = batch

    def _put(self, kind: str, name: str, said: dict[str, object] | None) -> None:
        self._records.put(kind, name, said, () if said is None else documents.volumes_of(kind, said))

    def _differs(self, tx: Transaction, kind: str, name: str) -> bool:
        said = documents.document(tx, kind, name)
        return self._records.differs(kind, name, said, () if said is None else documents.volumes_of(kind, said))

    def _differing(self, kind: str) -> Iterator[None]:
        after = ""
        unseen = set(self._records.names(kind))
        while True:
            with self._database.read() as tx:
                page = documents.names(tx, kind, after, _PAGE)
                differing = {(kind, name) for name in page if self._differs(tx, kind, name)}
            unseen.difference_update(page)
            if differing:
                self.note(differing)
            if not page:
                break
            after = page[-1]
            yield
        if unseen:
            self.note({(kind, name) for name in unseen})

    def _work(self) -> None:
        is_compared = self._try_compare()
        self._when_compared()
        while not self._stopping.is_set():
            self._wake.wait()
            # One that a lost server cut short is made good with the next change, which is told when that is back.
            is_compared = is_compared or self._try_compare()
            self._wake.clear()
            self._stopping.wait(GATHER_S)
            if not self._try_flush():
                self._stopping.wait(_REST_S)
        self._try_flush()

    def _try_compare(self) -> bool:
        try:
            self.compare()
        except (DatabaseDown, DatabaseBusy) as error:
            log.warning("records_not_compared", reason=str(error))
            return False
        except Exception:
            log.exception("records_not_compared")
        return True

    def _try_flush(self) -> bool:
        if self._database.damage is not None:
            return False  # What it says must not be taken over into the records, which are what it is mended from.
        try:
            self.flush()
        except (DatabaseFull, DatabaseDown, DatabaseBusy, DatabaseMalformed, PoolError, OSError) as error:
            log.warning("records_behind", reason=str(error))
            return False
        except Exception:
            log.exception("records_behind")
            return False
        return True
