"""What is looked up when somebody asks what is measured: what there is, and how it is.

What takes longer the more there is (all volumes' rows and files) is looked at once a minute, and more seldom where it
takes long: at most a hundredth of the time. Whoever asks in between is told what was found then.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence

import kiln
from kiln.calls.call import Ports
from kiln.calls.holdings import look
from kiln.declare import metrics as m
from kiln.declare.holdings import Use
from kiln.ground.journal import Journal
from kiln.service.datafolder import DataFolder
from kiln.service.exposition import Reading
from kiln.service.health import Health
from kiln.service.verdict import kept
from kiln.store import census, webhooks
from kiln.store.errors import DatabaseDown
from kiln.upkeep.audit import Room

log = Journal("kiln.service")

_SELDOM_S = 60.0
_SHARE = 100  #: Of the time that goes by, one part is spent on looking.


class Seldom:
    """What *look* finds, which is called no more often than the module says. Safe to use from any thread.

    *clock* tells seconds that only grow.
    """

    def __init__(self, look: Callable[[], list[Reading]], clock: Callable[[], float] = time.monotonic) -> None:
        self._look = look
        self._clock = clock
        self._looking = threading.Lock()
        self._due = float("-inf")
        self._found: list[Reading] = []

    def __call__(self) -> Sequence[Reading]:
        """What was found last; only who comes first waits for a look. Raises what *look* raises."""
        is_first = not self._found
        if self._clock() >= self._due and self._looking.acquire(blocking=is_first):
            try:
                if self._clock() >= self._due:
                    began = self._clock()
                    self._found = self._look()
                    now = self._clock()
                    self._due = now + max(_SELDOM_S, (now - began) * _SHARE)
            finally:
                self._looking.release()
        return self._found


class Readings:
    """All of it, of one served Kiln.

    *connections* tells how many are open, and *health* how all is; *process* is its role, its host and its ID.
    """

    def __init__(
        self,
        ports: Ports,
        folder: DataFolder,
        health: Callable[[], Health],
        connections: Callable[[], int],
        audit: Room,
        *,
        process: tuple[str, str, str],
    ) -> None:
        self._ports = ports
        self._process = process
        self._folder = folder
        self._health = health
        self._connections = connections
        self._audit = audit
        self._stand = Seldom(lambda: list(self._look_at_all()))

    def __call__(self) -> Iterator[Reading]:
        """Every gauge. Of a database that does not answer there is nothing to tell but that."""
        yield m.BUILD, (kiln.__version__, self._ports.machines.kind), 1
        yield m.PROCESS, self._process, 1
        yield m.CONNECTIONS, (), self._connections()
        health = self._health()
        for check in health.checks:
            yield m.READY, (check,), 0 if check in health.faults else 1
        room = self._ports.pool.room()
        if room is not None:
            yield m.POOL_SIZE, (), room.total_bytes
            yield m.POOL_FREE, (), room.free_bytes
        yield from self._database_room()
        yield m.AUDIT_EVENTS, (), self._audit.taken.events
        yield m.AUDIT_BYTES, (), self._audit.taken.bytes
        yield m.MACHINES, (), sum(1 for _ in self._ports.machines.running())
        yield from self._verdict()
        try:
            yield from self._waiting()
            yield from self._stand()
        except DatabaseDown as error:
            log.warning("database_not_measured", reason=str(error))

    def _database_room(self) -> Iterator[Reading]:
        if self._ports.database.is_sqlite:
            found = os.statvfs(self._folder.path)
            free = found.f_bfree if os.geteuid() == 0 else found.f_bavail
            yield m.DATABASE_FREE, (), free * found.f_frsize

    def _verdict(self) -> Iterator[Reading]:
        verdict = kept(self._folder.verdict)
        if verdict is not None:
            yield m.FSCK_TIME, (), verdict.at
            for sort, count in verdict.findings.items():
                yield m.FSCK_FINDINGS, (sort,), count

    def _waiting(self) -> Iterator[Reading]:
        yield m.WEBHOOK_WAITING, (), self._ports.database.probe(webhooks.parcels.count)
        yield from self._tasks()

    def _tasks(self) -> Iterator[Reading]:
        now = self._ports.clock()
        for one in self._ports.database.probe(lambda tx: census.open_tasks(tx, now)):
            yield m.TASKS, (one.action, "running"), one.running
            yield m.TASKS, (one.action, "waiting"), one.waiting
            yield m.TASKS, (one.action, "postponed"), one.postponed
            yield m.TASK_AGE, (one.action,), one.oldest_s

    def _look_at_all(self) -> Iterator[Reading]:
        ports = self._ports
        for noun, status, count in ports.database.probe(lambda tx: list(census.statuses(tx))):
            yield m.RESOURCES, (noun, status), count
        found = ports.holdings.found
        if found is None or not 0 <= ports.clock() - found.at < _SELDOM_S:
            found = look(ports.database, ports.pool, ports.clock)
        for (kind, state), count in found.counts.items():
            yield m.VOLUMES, (kind, state), count
        depths = found.all.depths
        yield m.CHAIN_DEPTH_MAX, (), max(depths, default=0)
        yield m.CHAIN_DEPTH_MEAN, (), sum(d * n for d, n in depths.items()) / max(1, sum(depths.values()))
        for use in Use:
            yield m.POOL_BYTES, (use,), found.all.taken.get(use, 0)
