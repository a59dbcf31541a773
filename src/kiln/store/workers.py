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
from kiln.store import hosts, tasks, terminals
from kiln.store.database import Transaction
from kiln.store.hosts import Room
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
    steady_since: float = 0.0  #: Since when it was never silent for longer than ``PAUSE_S``.


workers: Rows[Member] = Rows("workers", Member)

SILENT_S = 15.0  #: Each says every second that it is there.
PAUSE_S = 5.0  #: Who did not say so for longer cannot tell whether it was the others who were away, or it itself.

#: That the process of a row is alive; in a transaction of its own, which holds the row for no longer than that.
SEEN = f"""
UPDATE workers SET seen_at = time.now,
       steady_since = CASE WHEN seen_at < time.now - {PAUSE_S} THEN time.now ELSE steady_since END
FROM (SELECT CAST(extract(epoch FROM clock_timestamp()) AS float8) AS now) AS time
WHERE id = :id RETURNING id
"""  # noqa: S608 - of a number of ours.

_SERVERS_TIME = "SELECT extract(epoch FROM statement_timestamp())::float8"
_GIVING_UP = "SELECT pg_try_advisory_xact_lock(8787, 4)"

#: The time of the database's server, on PostgreSQL alone.
NOW = select(cast(extract("epoch", func.clock_timestamp()), Float))


def enter(tx: Transaction, member: Member, room: Room, *, is_first: bool) -> list[str]:
    """Write down that a process serves; returns the IDs of those that had rows still, and have ended.

    Of *is_first* all others have: nobody else works with the database. Of one that carries out tasks those that did so
    on its host have: it holds that host's lock. Their leases are given back, so that nobody waits for them to run out.
    *room* is what its host has for guests, where it carries out tasks.
    """
    now = tx.execute(NOW).scalar_one()
    left = [one for one in workers.all(tx) if is_first or (_works(member) and _works(one) and one.host == member.host)]
    for one in left:
        tasks.give_back(tx, one.id)
        terminals.door_gone(tx, one.id, now)
        workers.delete(tx, id=one.id)
        # Where nobody was there nobody was missed: all may have been off together, and come back one after the other.
        hosts.go(tx, one.id, now if is_first else one.seen_at)
    workers.insert(tx, replace(member, started_at=now, seen_at=now, steady_since=now))
    if _works(member):
        hosts.come(tx, member.host, member.id, room, now)
    return [one.id for one in left]


def leave(tx: Transaction, member: str) -> None:
    """Write down that a process has ended in order."""
    now = tx.execute(NOW).scalar_one()
    hosts.go(tx, member, now, has_left=True)
    terminals.door_gone(tx, member, now)
    workers.delete(tx, id=member)


def serving(tx: Transaction, host: str) -> Member | None:
    """The process that has the machines of a host; None where none has been seen for ``SILENT_S``."""
    there = [one for one in workers.all(tx, host=host) if _works(one)]
    awake_at = servers_time(tx, 0.0) - SILENT_S if there else 0.0
    return max((one for one in there if one.seen_at >= awake_at), key=lambda one: one.started_at, default=None)


def _works(member: Member) -> bool:
    return Role(member.role).works


def servers_time(tx: Transaction, _: float) -> float:
    """The time of the database's server, whatever this host's clock says."""
    return float(tx.driver(_SERVERS_TIME, ()).fetchone()[0])


def silent(tx: Transaction) -> list[str]:
    """The processes that were not seen for ``SILENT_S``: they have ended, stand still, or cannot reach the server."""
    return [one.id for one in _silent(tx)]


def _silent(tx: Transaction) -> list[Member]:
    return workers.all(tx, workers.c.seen_at < servers_time(tx, 0.0) - SILENT_S)


def unseen_hosts(tx: Transaction, member: str, within_s: float) -> list[str]:
    """The hosts whose last process was not seen for *within_s*, and did not end in order; not those given up already.

    None for a *member* that was not seen all that time itself: it cannot tell whether the others were away.
    """
    now = servers_time(tx, 0.0)
    mine = workers.find(tx, id=member)
    if mine is None or mine.steady_since > now - within_s or mine.seen_at < now - PAUSE_S:
        return []
    seen = {one.id: one.seen_at for one in workers.all(tx)}
    known = [one for one in hosts.hosts.all(tx) if one.lost_at is None and not one.has_left]
    return [one.name for one in known if seen.get(one.worker, one.seen_at) < now - within_s]


def take_away(tx: Transaction, host: str) -> None:
    """Take from the host's process, which may live, all that it has leased, its terminals' sessions, and its row."""
    for one in workers.all(tx, host=host):
        if _works(one):
            tasks.take_away(tx, owner=one.id)
            terminals.door_gone(tx, one.id, servers_time(tx, 0.0), is_given_up=True)
            workers.delete(tx, id=one.id)


def give_up(tx: Transaction) -> list[str]:
    """Give back what silent processes have leased, and forget these; returns them. None where another does it just now.

    One that comes to itself writes nothing for a task that somebody else has by then, and makes itself known again.
    """
    if not tx.driver(_GIVING_UP, ()).fetchone()[0]:
        return []
    gone = _silent(tx)
    for one in gone:
        tasks.give_back(tx, one.id)
        terminals.door_gone(tx, one.id, servers_time(tx, 0.0), is_given_up=True)
        workers.delete(tx, id=one.id)
        hosts.go(tx, one.id, one.seen_at)
    return [one.id for one in gone]
