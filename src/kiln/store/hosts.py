"""Hosts: where machines can be, what each has for guests, and which were given up.

A host is known from the first start of a process that has machines under its
name, until an operator forgets it; processes come and go under the name.
"""

from __future__ import annotations

from typing import Any

from kiln.ground.values import dataclass
from kiln.store.database import Transaction
from kiln.store.rows import Rows


@dataclass(frozen=True)
class Room:
    """What a host has for guests."""

    cpus: int
    memory_mib: int


@dataclass(frozen=True, kw_only=True)
class Host:
    """One host. Times are of the database's clock; where that is SQLite, of the host's own."""

    name: str
    since: float  #: When a process served it first.
    cpus: int
    memory_mib: int
    worker: str = ""  #: The process that serves it; empty while none does, and where SQLite is the database.
    seen_at: float = 0.0  #: When the last process was seen last. One that serves has that in its own row.
    has_left: bool = False  #: Whether the last process ended in order, which leaves its machines as they are.
    is_draining: bool = False  #: Whether nothing is to be started on it.
    lost_at: float | None = None  #: Since when its machines are given up; None: they are not.

    @property
    def state(self) -> str:
        """``in use``, ``draining`` or ``lost``."""
        if self.lost_at is not None:
            return "lost"
        return "draining" if self.is_draining else "in use"


hosts: Rows[Host] = Rows("hosts", Host, key=("name",))

#: Who has a host's lock carries out what is bound to it: a lock of this class, by its name.
LOCK = 8788
_IS_FREE = f"SELECT pg_try_advisory_xact_lock({LOCK}, hashtext(%s))"


def come(tx: Transaction, name: str, worker: str, room: Room, now: float) -> None:
    """Write down that *worker* serves the host, which has that *room*. Nothing is written where all of it is known."""
    told: dict[str, Any] = {"worker": worker, "has_left": False, "lost_at": None, **vars(room)}
    row = hosts.find(tx, name=name)
    if row is None:
        hosts.insert(tx, Host(name=name, since=now, seen_at=now, **told))
    elif any(getattr(row, field) != value for field, value in told.items()):
        hosts.update(tx, told | {"seen_at": now}, name=name)


def go(tx: Transaction, worker: str, seen_at: float, *, has_left: bool = False) -> None:
    """Write down that *worker*, which was seen last at that time, serves no host any more."""
    hosts.update(tx, {"worker": "", "seen_at": seen_at, "has_left": has_left}, worker=worker)


def is_free(tx: Transaction, name: str) -> bool:
    """Whether no process holds the host's lock; if so, none takes it before the transaction has ended. PostgreSQL's."""
    return bool(tx.driver(_IS_FREE, (name,)).fetchone()[0])


def is_given_up(tx: Transaction, name: str) -> bool:
    """Whether nothing is to be done for what is on the host: it is lost, or an operator had it forgotten."""
    row = hosts.find(tx, name=name)
    return row is None or row.lost_at is not None


def keep_only(tx: Transaction, name: str) -> None:
    """Forget every other host: for where no other can be."""
    hosts.delete(tx, hosts.c.name != name)
