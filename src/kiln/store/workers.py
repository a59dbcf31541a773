"""The processes of a deployment: who serves, where, and when it was last seen.

Every process has a row from its start to its end, under an ID that is another
one at each start: whoever comes back under an old host's name is somebody else.
One that carries out tasks leases them under that ID. Times are the database's,
never a host's. Where SQLite is the database there is one process, and no row.
"""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import Float, cast, extract, func, select

from kiln.declare.roles import Role
from kiln.ground.values import dataclass
from kiln.store import tasks
from kiln.store.database import Transaction
from kiln.store.rows import Rows


@dataclass(frozen=True, kw_only=True)
class Member:
    """One process."""

    id: str
    host: str
    role: str
    address: str  #: HOST:PORT where it answers.
    peer: str = ""  #: HOST:PORT where other processes ask it; empty of one from before there was that.
    started_at: float = 0.0
    seen_at: float = 0.0


workers: Rows[Member] = Rows("workers", Member)

#: That the process of a row is alive; in a transaction of its own, which holds the row for no longer than that.
SEEN = "UPDATE workers SET seen_at = extract(epoch FROM clock_timestamp()) WHERE id = :id RETURNING id"


SILENT_S = 15.0  #: Each says every second that it is there.

_SERVERS_TIME = "SELECT extract(epoch FROM statement_timestamp())::float8"
_GIVING_UP = "SELECT pg_try_advisory_xact_lock(8787, 4)"

#: The time of the database's server, on PostgreSQL alone.
NOW = select(cast(extract("epoch", func.clock_timestamp()), Float))


def enter(tx: Transaction, member: Member, *, is_first: bool) -> list[str]:
    """Write down that a process serves; returns the IDs of those that had rows still, and have ended.

    Of *is_first* all others have: nobody else works with the database. Of one that carries out tasks those that did so
    on its host have: it holds that host's lock. Their leases are given back, so that nobody waits for them to run out.
    """
    left = [one for one in workers.all(tx) if is_first or (_works(member) and _works(one) and one.host == member.host)]
    for one in left:
        tasks.give_back(tx, one.id)
        workers.delete(tx, id=one.id)
    now = tx.execute(NOW).scalar_one()
    workers.insert(tx, replace(member, started_at=now, seen_at=now))
    return [one.id for one in left]


def leave(tx: Transaction, member: str) -> None:
    """Write down that a process has ended."""
    workers.delete(tx, id=member)


def serving(tx: Transaction, host: str) -> Member | None:
    """The process that has the machines of a host; None where none has been seen for ``SILENT_S``."""
    awake = workers.c.seen_at >= servers_time(tx, 0.0) - SILENT_S
    found = [one for one in workers.all(tx, awake, host=host) if _works(one)]
    return max(found, key=lambda one: one.started_at, default=None)


def _works(member: Member) -> bool:
    return Role(member.role).works


def servers_time(tx: Transaction, _: float) -> float:
    """The time of the database's server, whatever this host's clock says."""
    return float(tx.driver(_SERVERS_TIME, ()).fetchone()[0])


def silent(tx: Transaction) -> list[str]:
    """The processes that were not seen for ``SILENT_S``: they have ended, stand still, or cannot reach the server."""
    return [one.id for one in workers.all(tx, workers.c.seen_at < servers_time(tx, 0.0) - SILENT_S)]


def give_up(tx: Transaction) -> list[str]:
    """Give back what silent processes have leased, and forget these; returns them. None where another does it just now.

    One that comes to itself writes nothing for a task that somebody else has by then, and makes itself known again.
    """
    if not tx.driver(_GIVING_UP, ()).fetchone()[0]:
        return []
    gone = silent(tx)
    for one in gone:
        tasks.give_back(tx, one)
        workers.delete(tx, id=one)
    return gone
