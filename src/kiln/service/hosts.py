"""What a host has for guests, and what ``kiln host`` shows and does, beside a service that may be running."""

from __future__ import annotations

import os
from functools import partial

from kiln.calls.sizes import size_in
from kiln.declare.deployment import Deployment
from kiln.ground.units import KiB, MiB
from kiln.ground.values import dataclass
from kiln.service.settings import Settings
from kiln.store.database import Database, Transaction
from kiln.store.hosts import Host, Room, hosts, is_free, set_draining
from kiln.store.instances import count_by_host, instances
from kiln.store.tunnels import tunnel_ends
from kiln.store.workers import Member, servers_time, workers
from kiln.upkeep.lost_hosts import give_up


class NotForgotten(Exception):
    """A host cannot be forgotten; nothing was changed. The message says why, and *hint* what can be done."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


GUESTS_A_CPU = 4
#: What helps whoever is alone and wants several.
SEVERAL = "KILN_DATABASE, or --database, names the PostgreSQL that several hosts share."


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


def room_here(settings: Settings) -> Room:
    """What this host has for guests: as it is set, or by the processors that this process may use and all memory.

    A guest that has nothing to do takes no processor, so each counts several times. Memory counts once: what a guest
    has touched it keeps. A share of it is left to the host itself, whose page cache has the guests' layers.
    """
    memory_mib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // MiB
    cpus = len(os.sched_getaffinity(0))
    return Room(
        cpus=settings.guest_cpus or cpus * GUESTS_A_CPU,
        memory_mib=settings.guest_memory or memory_mib - max(memory_mib // 8, min(KiB, memory_mib // 2)),
    )


class HostUnknown(Exception):
    """There is no host of that name."""


def drain(database: Database, name: str, *, is_draining: bool) -> None:
    """Have nothing be started on a host any more, or again. Raises HostUnknown."""
    if not database.write(lambda tx: set_draining(tx, name, is_draining=is_draining)):
        raise HostUnknown(name)


def count_on(database: Database, name: str) -> int:
    """How many instances have their machines on the host, or start them there."""
    with database.read() as tx:
        return count_by_host(tx).get(name, 0)


def known_hosts(database: Database) -> list[KnownHost]:
    """Every host, by its name."""
    with database.read() as tx:
        processes = {one.id: one for one in workers.all(tx)}
        count = count_by_host(tx)
        return [KnownHost(row, processes.get(row.worker), count.get(row.name, 0)) for row in hosts.all(tx)]


def bound_to(database: Database, name: str) -> list[str]:
    """The instances whose machines are on a host that may be forgotten. Raises NotForgotten."""
    if database.is_sqlite:
        why = "one Kiln alone works with a database of SQLite, and has no other host"
        raise NotForgotten(why, SEVERAL)
    with database.read() as tx:
        return _bound_to(tx, name)


def forget(database: Database, name: str) -> list[str]:
    """Give a host up at once, and forget it; returns the instances that are Stopped by that. Raises NotForgotten."""

    def work(tx: Transaction) -> list[str]:
        _bound_to(tx, name)
        why, sizes = "was forgotten by an operator", partial(size_in, Deployment())
        stopped = give_up(tx, name, why, servers_time(tx, 0.0), sizes)
        hosts.delete(tx, name=name)
        tunnel_ends.delete(tx, host=name)
        return stopped

    return database.write(work)


def _bound_to(tx: Transaction, name: str) -> list[str]:
    if hosts.find(tx, name=name) is None:
        raise NotForgotten(f"there is no host {name!r}", "`kiln host list` shows what there is.")
    if not is_free(tx, name):
        hint = "Stop its `kiln serve`, or switch the machine off; its guests run on where only Kiln was stopped."
        raise NotForgotten(f"a process serves the host {name}: it holds the lock of that name", hint)
    return [one.id for one in instances.all(tx, host=name)]
