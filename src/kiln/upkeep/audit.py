"""Keeping the audit small: what is too old goes, and the oldest where it is too much, in pieces.

An account that calls without end takes from its own past: where there are too
many rows, or too many bytes, the one that has most of them loses its oldest. Calls
that were refused, which cost their caller nothing, have a tenth of the room, so that
they cannot push out what has happened.

To weigh all rows takes a second for a million, so what was weighed is remembered,
and only what came since is weighed each time.
"""

from __future__ import annotations

import threading

from kiln.calls.call import Ports
from kiln.declare.metrics import AUDIT_REMOVED
from kiln.ground.units import DAY_S, KiB
from kiln.ground.values import dataclass
from kiln.store import audit
from kiln.store.audit import Weight

_MOST_PIECES = 100  #: At a time: a second or so, after which others of its thread, or the end, have their turn.
_OF_REFUSED = 10  #: The part of all room that refused calls may have.
_OF_EVENT = KiB  #: Room for each of the events that there may be.
_UNSETTLED_S = 60.0  #: No transaction takes longer: what is older is all there, and need not be weighed again.


@dataclass
class _Known:
    """What an account has, up to a time."""

    weight: Weight = Weight()
    until: float | None = None


class Room:
    """The audit's room: *most* events, and a KiB for each. Safe to use from any thread."""

    def __init__(self, ports: Ports, most: int) -> None:
        self._ports = ports
        self._most = most
        self._known: dict[str, _Known] = {}
        self._weighed_at = float("-inf")
        self._taking = threading.Lock()
        self.taken = Weight()  #: What there was in all, when it was last weighed.

    def forget_old(self, days: int) -> int:
        """Remove the events that are older than so many days; returns how many."""
        before = self._ports.clock() - days * DAY_S
        with self._taking:
            with self._ports.database.read() as tx:
                accounts = audit.accounts(tx)
            removed = 0
            for account in accounts:
                for _ in range(_MOST_PIECES):
                    piece = self._remove(account, "old", before=before)
                    removed += piece.events
                    if not piece.events:
                        break
        return removed

    def forget_most(self) -> int:
        """Remove the oldest events of those who have most, until all have room; returns how many."""
        with self._taking:
            weights = self._weigh()
            removed = self._bound(weights, self._most // _OF_REFUSED, refused=True)
            removed += self._bound(weights, self._most, refused=False)
            self.taken = sum(weights.values(), Weight())
        return removed

    def _weigh(self) -> dict[str, Weight]:
        """What each account has."""
        now = self._ports.clock()
        # A clock may be set back, and another process may remove rows as well: now and then all is weighed again.
        if not 0 <= now - self._weighed_at < DAY_S:
            self._known, self._weighed_at = {}, now
        weights = {}
        with self._ports.database.read() as tx:
            accounts = audit.accounts(tx)
            for account in accounts:
                known, settled = self._known.setdefault(account, _Known()), now - _UNSETTLED_S
                if known.until is None or settled > known.until:
                    known.weight += audit.weigh(tx, account, after=known.until, until=settled)
                    known.until = settled
                weights[account] = known.weight + audit.weigh(tx, account, after=known.until)
        for gone in set(self._known).difference(accounts):
            del self._known[gone]
        return weights

    def _bound(self, weights: dict[str, Weight], most: int, *, refused: bool) -> int:
        removed = 0
        for _ in range(_MOST_PIECES):
            events, size = sum(weights.values(), Weight()).of(refused=refused)
            events, size = events - most, size - most * _OF_EVENT
            if events <= 0 and size <= 0:
                break
            which = 0 if events > 0 else 1
            account = max(weights, key=lambda one: weights[one].of(refused=refused)[which])
            if events <= 0:
                # As many as have that size on average, and one more.
                count, taken = weights[account].of(refused=refused)
                events = 1 + size * count // max(1, taken)
            piece = self._remove(account, "many", events, refused=refused)
            if not piece.events:
                break
            weights[account] -= piece
            removed += piece.events
        return removed

    def _remove(
        self, account: str, reason: str, most: int | None = None, *, before: float | None = None, refused: bool = False
    ) -> Weight:
        # What gives room back may use the room that is kept for that.
        removed = self._ports.database.write(
            lambda tx: audit.remove_oldest(tx, account, most, before=before, refused=refused), gives_back=True
        )
        if (known := self._known.get(account)) is not None:
            known.weight -= removed
            if known.weight.events < 0:
                del self._known[account]
        if removed.events:
            AUDIT_REMOVED.add(reason, by=removed.events)
        return removed
