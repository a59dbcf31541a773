"""Hosts: where machines can be, what each has for guests, and which were given up.

A host is known from the first start of a process that has machines under its
name, until an operator forgets it; processes come and go under the name.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol, TypeVar

from sqlalchemy import ColumnElement, Integer, and_, bindparam

from kiln.ground.units import KiB
from kiln.ground.values import dataclass
from kiln.store.database import Transaction
from kiln.store.rows import Rows


@dataclass(frozen=True)
class Room:
    """What a host has for guests."""

    cpus: int
    memory_mib: int

    def __str__(self) -> str:
        return f"{self.cpus} processors and {self.memory_mib / KiB:g} GiB of memory"

    def holds(self, other: Room) -> bool:
        """Whether there is as much in it."""
        return self.cpus >= other.cpus and self.memory_mib >= other.memory_mib

    def is_less_than(self, other: Room) -> bool:
        """Whether the other has more: of memory, which runs out first, or of processors beside as much of that."""
        return (self.memory_mib, self.cpus) < (other.memory_mib, other.cpus)

    def less(self, other: Room) -> Room:
        """What is left of it without the other."""
        return Room(cpus=self.cpus - other.cpus, memory_mib=self.memory_mib - other.memory_mib)


NOTHING = Room(cpus=0, memory_mib=0)
ANY_ROOM = Room(cpus=1 << 30, memory_mib=1 << 30)  #: Of a host whose guests nobody counts.


class Wanting(Protocol):
    """What takes room of a host that it is not bound to yet."""

    @property
    def id(self) -> str: ...
    @property
    def host(self) -> str: ...
    @property
    def cpus(self) -> int: ...
    @property
    def memory_mib(self) -> int: ...


Wants = TypeVar("Wants", bound=Wanting)


class Share(NamedTuple):
    """What a host takes of what takes room."""

    left: Room  #: What it has left.
    #: Asked of what there is room for: whether it is left to other hosts, where so much is left before it.
    leaves: Callable[[Wanting, Room], bool] = lambda _, __: False


ANY_SHARE = Share(ANY_ROOM)


def fits(cpus: ColumnElement[int], memory_mib: ColumnElement[int]) -> ColumnElement[bool]:
    """That a row takes no more than the room, of which the statement is told ``cpus`` and ``memory_mib``."""
    return and_(cpus <= bindparam("cpus", type_=Integer), memory_mib <= bindparam("memory_mib", type_=Integer))


def that_fit(found: Sequence[Wants], share: Share) -> list[Wants]:
    """Those for which there is room besides those before them; what is bound to a host has its part of it already."""
    fitting, left = [], share.left
    for one in found:
        need = NOTHING if one.host else Room(cpus=one.cpus, memory_mib=one.memory_mib)
        if left.holds(need) and (need == NOTHING or not share.leaves(one, left)):
            left = left.less(need)
            fitting.append(one)
    return fitting


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


def set_draining(tx: Transaction, name: str, *, is_draining: bool) -> bool:
    """Have nothing be started on the host from now on, or again; False where there is none of that name."""
    return hosts.update(tx, {"is_draining": is_draining}, name=name) > 0


def keep_only(tx: Transaction, name: str) -> None:
    """Forget every other host: for where no other can be."""
    hosts.delete(tx, hosts.c.name != name)
