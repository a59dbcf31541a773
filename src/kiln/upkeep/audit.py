"""Keeping the audit small: what is too old goes, and the oldest where it is too much, in pieces.

An account that calls without end takes from its own past: where there are too
many rows, the one that has most of them loses its oldest. Calls that were
refused, which cost their caller nothing, have a tenth of the room, so that they
cannot push out what has happened.
"""

from __future__ import annotations

from kiln.calls.call import Ports
from kiln.ground.units import DAY_S
from kiln.store import audit

_MOST_PIECES = 100  #: At a time: a second or so, after which others of its thread, or the end, have their turn.
_OF_REFUSED = 10  #: The part of all rows that refused calls may have.


def forget_old(ports: Ports, days: int) -> int:
    """Remove the events that are older than so many days; returns how many."""
    before = ports.clock() - days * DAY_S
    with ports.database.read() as tx:
        accounts = list(audit.counts(tx))
    removed = 0
    for account in accounts:
        for _ in range(_MOST_PIECES):
            piece = _remove(ports, account, before=before)
            removed += piece
            if not piece:
                break
    return removed


def forget_most(ports: Ports, most: int) -> int:
    """Remove the oldest events of those who have most, until there are *most* in all; returns how many."""
    with ports.database.read() as tx:
        refused, every = audit.counts(tx, refused=True), audit.counts(tx)
    removed = _bound(ports, refused, most // _OF_REFUSED, refused=True)
    if removed:
        with ports.database.read() as tx:
            every = audit.counts(tx)
    return removed + _bound(ports, every, most, refused=False)


def _bound(ports: Ports, counts: dict[str, int], most: int, *, refused: bool) -> int:
    removed = 0
    for _ in range(_MOST_PIECES):
        excess = sum(counts.values()) - most
        if excess <= 0:
            break
        account = max(counts, key=lambda one: counts[one])
        piece = _remove(ports, account, excess, refused=refused)
        if not piece:
            break
        counts[account] -= piece
        removed += piece
    return removed


def _remove(
    ports: Ports, account: str, most: int | None = None, *, before: float | None = None, refused: bool = False
) -> int:
    # What gives room back may use the room that is kept for that.
    return ports.database.write(
        lambda tx: audit.remove_oldest(tx, account, most, before=before, refused=refused), gives_back=True
    )
