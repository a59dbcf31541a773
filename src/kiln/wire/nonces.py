"""The memory of used nonces, which makes a signed request good for one time only.

A request is admitted while its time is within 15 minutes of the server's, both
ways; so its nonce has to be known until 15 minutes after *its own* time, and
may be forgotten then. Nonces are therefore kept by the time of their request,
in slots of five minutes that are dropped whole: one request costs one keyed
digest and one look into each of at most eight slots.

A clock that is set forward does not make them forgotten: a slot is dropped when
both the clock and the time that has really passed say so, and a request of a
time whose slot was dropped is refused for good, wherever the clock stands then.

The memory is bounded. When it is full, new requests are refused rather than
old nonces forgotten: forgetting would open the replay that it is there to
prevent. A nonce takes some 20 bytes (``marks``), so the default bound is some
40 MB. An account is refused when it has taken as much as is left: one by
itself may have half, the next half of the rest, so that whoever comes next
finds room, however much others have taken. Only proved requests take any.

A log (``noncelog``) takes them over a restart.

``Nonces`` is the port: where several processes answer, they need one memory
between them.
"""

from __future__ import annotations

import hashlib
import secrets
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import field
from enum import Enum
from typing import Protocol

from kiln.ground.values import dataclass
from kiln.wire import marks
from kiln.wire.marks import Marks

#: How far a request's time may be from the server's, either way.
WINDOW_S = 15 * 60

_SLOT_S = 5 * 60


class Use(Enum):
    """What became of a nonce."""

    NEW = "new"  #: It was not known, and is now.
    USED = "used"  #: It was known already; nothing changed.
    FULL = "full"  #: There is no room to remember it; nothing changed.
    FORGOTTEN = "forgotten"  #: It is of a time of which nothing is known any more; nothing changed.


class Nonces(Protocol):
    """A memory of nonces. Safe to call from any thread."""

    def use(self, key_id: str, nonce: str, *, at: float, now: float, account: str = "") -> Use:
        """Remember that *key_id* of *account* used *nonce* in a request of time *at*, within the window of *now*."""


class Log(Protocol):
    """Takes nonces over a restart."""

    def write(self, slot: int, owner: bytes, mark: bytes) -> None:
        """Remember one, as far as that can be; raises nothing."""

    def drop(self, slot: int) -> None:
        """Forget those of a slot."""


@dataclass
class _Slot:
    """The nonces of requests of five minutes."""

    kept_until: float = 0.0  #: By the steady clock.
    marks: Marks = field(default_factory=Marks)
    owners: dict[bytes, int] = field(default_factory=dict)

    def add(self, owner: bytes, mark: bytes, kept_until: float) -> None:
        self.marks.add(mark)
        self.owners[owner] = self.owners.get(owner, 0) + 1
        self.kept_until = max(self.kept_until, kept_until)


class MemoryNonces:
    """The memory of one process.

    Digests are keyed at random, so nobody can make two nonces that collide.
    *known* are slots, owners and marks of before, with their *key*; of times
    before *floor* nothing is known.
    """

    def __init__(
        self,
        capacity: int = 2_000_000,
        *,
        key: bytes = b"",
        known: Iterable[tuple[int, bytes, bytes]] = (),
        floor: float = 0.0,
        log: Log | None = None,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self._capacity = capacity
        self._key = key or secrets.token_bytes(16)
        self._slots: dict[int, _Slot] = {}
        self._floor = floor
        self._log = log
        self._steady = steady
        self._lock = threading.Lock()
        self._owners: dict[str, bytes] = {}  # Accounts that have used any since the start.
        for slot, owner, mark in known:
            self._slots.setdefault(slot, _Slot()).add(owner, mark, steady() + 2 * WINDOW_S)

    def use(self, key_id: str, nonce: str, *, at: float, now: float, account: str = "") -> Use:
        mark = hashlib.blake2b(f"{key_id}\0{nonce}".encode(), digest_size=marks.SIZE, key=self._key).digest()
        owner = self._owners.get(account) or self._owner(account)
        slot = int(at // _SLOT_S)
        with self._lock:
            if slot not in self._slots:
                self._drop(int((now - WINDOW_S) // _SLOT_S))
            if at < self._floor:
                return Use.FORGOTTEN
            free, own = self._capacity, 0
            for known in self._slots.values():
                if mark in known.marks:
                    return Use.USED
                free -= len(known.marks)
                own += known.owners.get(owner, 0)
            if own >= free:
                return Use.FULL
            # So long it could be admitted, if the clock is right now and stays so.
            kept_until = self._steady() + at + WINDOW_S - now
            self._slots.setdefault(slot, _Slot()).add(owner, mark, kept_until)
            if self._log is not None:
                self._log.write(slot, owner, mark)
            return Use.NEW

    def _owner(self, account: str) -> bytes:
        owner = hashlib.blake2b(account.encode(), digest_size=8, key=self._key).digest()
        return self._owners.setdefault(account, owner)

    def _drop(self, oldest: int) -> None:
        """Forget slots before *oldest*, if they have been kept for as long as they had to by the steady clock too."""
        steady = self._steady()
        for slot, known in list(self._slots.items()):
            if slot < oldest and known.kept_until < steady:
                del self._slots[slot]
                self._floor = max(self._floor, (slot + 1) * _SLOT_S)
                if self._log is not None:
                    self._log.drop(slot)
