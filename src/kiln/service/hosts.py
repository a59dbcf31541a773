"""What a host has for guests, and what ``kiln host`` shows and does, beside a service that may be running."""

from __future__ import annotations

import os

from kiln.ground.units import MiB
from kiln.ground.values import dataclass
from kiln.store.database import Database, Transaction
from kiln.store.hosts import Host, Room, hosts, is_free
from kiln.store.instances import count_by_host, instances
from kiln.store.workers import Member, servers_time, workers
from kiln.upkeep.lost_hosts import give_up


class NotForgotten(Exception):
    """A host cannot be forgotten; nothing was changed. The message says why."""


@dataclass(frozen=True)
class KnownHost:
    """One host as an operator is shown it."""

    row: Host
    process: Member | None  #: That serves it now, as far as the database tells.
    instances: int  #: Whose machines are there, or start there.

    @property
    def seen_at(self) -> float:
        """When its process was seen last, by the database's clock."""
        return self.row.seen_at if self.process is None else self.process.seen_at


def room_here() -> Room:
    """What this host has for guests: all processors that this process may use, and all memory."""
    memory_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return Room(cpus=len(os.sched_getaffinity(0)), memory_mib=memory_bytes // MiB)


def known_hosts(database: Database) -> list[KnownHost]:
    """Every host, by its name."""
    with database.read() as tx:
        processes = {one.id: one for one in workers.all(tx)}
        count = count_by_host(tx)
        return [KnownHost(row, processes.get(row.worker), count.get(row.name, 0)) for row in hosts.all(tx)]


def bound_to(database: Database, name: str) -> list[str]:
    """The instances whose machines are on a host that may be forgotten. Raises NotForgotten."""
    if database.is_sqlite:
        raise NotForgotten("one Kiln alone works with a database of SQLite, and has no other host")
    with database.read() as tx:
        return _bound_to(tx, name)


def forget(database: Database, name: str) -> list[str]:
    """Give a host up at once, and forget it; returns the instances that are Stopped by that. Raises NotForgotten."""

    def work(tx: Transaction) -> list[str]:
        _bound_to(tx, name)
        stopped = give_up(tx, name, "was forgotten by an operator", servers_time(tx, 0.0))
        hosts.delete(tx, name=name)
        return stopped

    return database.write(work)


def _bound_to(tx: Transaction, name: str) -> list[str]:
    if hosts.find(tx, name=name) is None:
        raise NotForgotten(f"there is no host {name}")
    if not is_free(tx, name):
        raise NotForgotten(f"a process serves the host {name}: it holds the lock of that name")
    return [one.id for one in instances.all(tx, host=name)]
