"""What the pool holds, in all and of each account: looked at now and then, since it takes longer the more there is.

It takes reading every volume's row and every file's size. Who asks is told what
was found last, and waits where a look takes no time, or where nothing was found
yet and the first look has just begun; a hundredth of the time at most is spent
on looking.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future

from kiln.declare.holdings import Use
from kiln.ground.clock import Clock
from kiln.ground.journal import Journal
from kiln.ground.values import dataclass
from kiln.pools.port import Pool
from kiln.store import census
from kiln.store.database import Database
from kiln.store.errors import DatabaseDown

log = Journal("kiln.calls")

_SHARE = 100  #: Of the time that goes by, one part is spent on looking.
_SHORT_S = 0.05  #: Who asks waits for a look that takes no longer.
_FIRST_S = 3.0  #: Who asks later than that in the first look does not wait for it: it may take a minute yet.


@dataclass(frozen=True)
class Held:
    """What somebody has in the pool."""

    volumes: Mapping[Use, int]
    taken: Mapping[Use, int]  #: Bytes on the disk.
    depths: Mapping[int, int]  #: How many disks stand on so many volumes, their own included.


@dataclass(frozen=True, kw_only=True)
class Holdings:
    """What was found at a look."""

    counts: Mapping[tuple[str, str], int]  #: Rows of volumes, by kind and state.
    all: Held
    by_account: Mapping[str, Held]
    at: float  #: By the deployment's clock.

    def of(self, account: str) -> Held:
        """An account's own."""
        return self.by_account.get(account, _NOTHING)


_NOTHING = Held({}, {}, {})


def look(database: Database, pool: Pool, clock: Clock) -> Holdings:
    """Look at all of it, which may take a second. Raises DatabaseDown, OSError."""
    at = clock()
    stand = database.probe(census.stand)
    tallies = _Tallies(stand.accounts)
    for volume, use in stand.uses.items():
        for tally in tallies.of(volume):
            tally.volumes[use] += 1
    for volume, depth in stand.depths.items():
        for tally in tallies.of(volume):
            tally.depths[depth] += 1
    for name, size in pool.taken():
        use = stand.uses.get(name or "", Use.OTHER)
        for tally in tallies.of(name):
            tally.taken[use] += size
    for one in pool.discarded():
        for tally in tallies.of(one.volume):
            tally.volumes[Use.TRASH] += 1
            tally.taken[Use.TRASH] += one.allocated_bytes
    by_account = {account: tally.held() for account, tally in tallies.by_account.items()}
    return Holdings(counts=stand.counts, all=tallies.all.held(), by_account=by_account, at=at)


class _Tally:
    def __init__(self) -> None:
        self.volumes: Counter[Use] = Counter()
        self.taken: Counter[Use] = Counter()
        self.depths: Counter[int] = Counter()

    def held(self) -> Held:
        return Held(self.volumes, self.taken, self.depths)


class _Tallies:
    def __init__(self, accounts: Mapping[str, Iterable[str]]) -> None:
        self.all = _Tally()
        self.by_account: dict[str, _Tally] = {}
        self._accounts = accounts

    def of(self, volume: str | None) -> Iterator[_Tally]:
        """Those in which a volume counts; None: a file that is no volume."""
        yield self.all
        for account in self._accounts.get(volume or "", ()):
            yield self.by_account.setdefault(account, _Tally())


class HoldingsWatch:
    """See the module; *look* is how it is looked, and *ticks* tells seconds that only grow. Safe from any thread."""

    def __init__(
        self, look: Callable[[Database, Pool, Clock], Holdings] = look, ticks: Callable[[], float] = time.monotonic
    ) -> None:
        self._find = look
        self._ticks = ticks
        self._began = float("-inf")
        self._lock = threading.Lock()
        self._looking: Future[None] | None = None
        self._due = float("-inf")
        self._took_s = 0.0
        self.found: Holdings | None = None  #: What was found last; None where nothing was yet.

    def ask(self, database: Database, pool: Pool, clock: Clock) -> Future[None] | None:
        """Have it looked at if that is due; what is given is done afterwards. None where nobody has to wait."""
        with self._lock:
            now = self._ticks()
            if self._looking is None and now >= self._due:
                self._looking, self._began = Future(), now
                looks = threading.Thread(
                    target=self._look, args=(self._looking, database, pool, clock), name="holdings", daemon=True
                )
                looks.start()
            is_short = self._took_s <= _SHORT_S if self.found is not None else now - self._began <= _FIRST_S
            return self._looking if is_short else None

    def _look(self, done: Future[None], database: Database, pool: Pool, clock: Clock) -> None:
        began = self._ticks()
        found = None
        try:
            found = self._find(database, pool, clock)
        except (DatabaseDown, OSError) as error:
            log.warning("holdings_not_known", reason=str(error))
        finally:
            with self._lock:
                self.found = found or self.found
                now = self._ticks()
                self._took_s = now - began
                self._due = now + self._took_s * _SHARE
                self._looking = None
            done.set_result(None)
