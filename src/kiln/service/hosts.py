"""What a host has for guests, and what ``kiln host`` shows and does, beside a service that may be running."""

from __future__ import annotations

import os

from kiln.ground.units import MiB
from kiln.ground.values import dataclass
from kiln.store.database import Database
from kiln.store.hosts import Host, Room, hosts
from kiln.store.instances import count_by_host
from kiln.store.workers import Member, workers


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
