"""The keeper has the upkeep done, each part in its own time and its own thread: a slow one delays no other."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress

from kiln.calls.call import Ports
from kiln.ground.journal import Journal
from kiln.ground.threads import ended
from kiln.ground.values import dataclass
from kiln.operations.steps import tombs
from kiln.pools.errors import PoolFull
from kiln.store import invocations, snapshots, tags
from kiln.store.database import Transaction
from kiln.store.errors import DatabaseBusy, DatabaseDown, DatabaseMalformed
from kiln.store.tokens import KEPT_S, tokens
from kiln.upkeep.adoption import adopt
from kiln.upkeep.live import end_left
from kiln.upkeep.networks import mend_networks
from kiln.upkeep.opening import open_ahead
from kiln.upkeep.release import release_instances
from kiln.upkeep.room import RoomWatch
from kiln.upkeep.scheduled import Scheduler
from kiln.upkeep.sweep import help_along, sweep
from kiln.upkeep.unhurried import Unhurried
from kiln.upkeep.variables import VariablesKeeper
from kiln.upkeep.watch import Waker, watch

_LEAST_REST_S = 0.5  #: Between two times of a chore that takes longer than it should.

log = Journal("kiln.upkeep")


@dataclass(frozen=True)
class Chore:
    """Something to be done again and again."""

    name: str
    every_seconds: float
    do: Callable[[Ports], object]


def forget_tokens(ports: Ports) -> int:
    """Remove ClientTokens that are older than they are kept."""
    oldest = ports.clock() - KEPT_S
    return ports.database.write(lambda tx: tokens.delete(tx, tokens.c.created_at < oldest))


def forget_invocations(ports: Ports) -> list[str]:
    """Remove what Cloud Assistant has done and is not told any more; returns the invocations."""
    oldest = ports.clock() - invocations.KEPT_S
    return ports.database.write(lambda tx: invocations.forget(tx, oldest))


def release_snapshots(ports: Ports) -> list[str]:
    """Remove snapshots whose RetentionDays are over and that no image stands on; returns their IDs."""
    with ports.database.read() as tx:
        if not snapshots.retired(tx, ports.clock()):
            return []

    def work(tx: Transaction) -> list[str]:
        released = snapshots.retired(tx, ports.clock())
        for snapshot in released:
            if (row := snapshots.snapshots.find(tx, id=snapshot)) is not None:
                tombs.keep_snapshot(tx, ports, row)
            snapshots.snapshots.delete(tx, id=snapshot)
            tags.drop(tx, "snapshot", snapshot)
        return released

    return ports.database.write(work, gives_back=True)


def prepare(ports: Ports) -> int:
    """Make ready what the next captures need; where there is no room they will do without, and say so then."""
    made = 0
    with suppress(PoolFull):
        made = ports.pool.prepare()
    open_ahead(ports)
    return made


def unhurried(name: str, every_seconds: float, do: Callable[[Ports], object]) -> Chore:
    """A chore that deletes by the time of day."""
    return Chore(name, every_seconds, Unhurried(name, do))


#: What concerns a host's own machines.
OF_HOST = (
    Chore("adopt", 5.0, adopt),
    Chore("end_left", 2.0, end_left),
    Chore("watch", 2.0, watch),
    Chore("wake", 5.0, Waker()),
    Chore("variables", 30.0, VariablesKeeper()),
    Chore("prepare", 0.5, prepare),
    Chore("networks", 5.0, mend_networks),
    Chore("help_along", 2.0, help_along),
)

#: What is done once, by one process at a time.
OF_ALL = (
    Chore("sweep", 2.0, sweep),
    Chore("room", 2.0, RoomWatch()),
    Chore("take_snapshots", 10.0, Scheduler()),
    unhurried("release_snapshots", 60.0, release_snapshots),
    unhurried("release_instances", 5.0, release_instances),
    unhurried("forget_tokens", 3600.0, forget_tokens),
    unhurried("forget_invocations", 3600.0, forget_invocations),
)

CHORES = (*OF_HOST, *OF_ALL)


class Keeper:
    """Does the chores until it is stopped; a chore that fails is logged and done again in its time.

    None begins before *first_after_s*: all of them together take a fourteenth of
    what a start takes, and whoever waits for the first answer waits for none.
    """

    def __init__(self, ports: Ports, chores: tuple[Chore, ...] = CHORES, *, first_after_s: float = 0.0) -> None:
        self._ports = ports
        self._first_after_s = first_after_s
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self._keep, args=[chore], name=f"keeper-{chore.name}") for chore in chores
        ]

    def start(self) -> None:
        """Start the threads."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End after what is being done."""
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def dead(self) -> list[str]:
        """The names of the threads that have ended although nobody stopped them."""
        return [] if self._stopping.is_set() else ended(self._threads)

    def _keep(self, chore: Chore) -> None:
        self._stopping.wait(self._first_after_s)
        while not self._stopping.is_set():
            due = time.monotonic() + chore.every_seconds
            self._do(chore)
            self._stopping.wait(max(_LEAST_REST_S, due - time.monotonic()))

    def _do(self, chore: Chore) -> None:
        if self._ports.database.damage is not None:
            # Nobody may decide by it what is to go, and nothing could be recorded; the log and the health say so.
            return
        try:
            chore.do(self._ports)
        except DatabaseMalformed as error:
            log.warning("chore_stopped", chore=chore.name, reason=str(error))
        except (DatabaseBusy, DatabaseDown) as error:
            log.warning("chore_put_off", chore=chore.name, reason=str(error))
        except Exception:
            log.exception("chore_failed", chore=chore.name)
