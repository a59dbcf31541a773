"""The memory of used nonces, which makes a signed request good for one time only.

A request is admitted while its time is within 15 minutes of the server's, both
ways; so its nonce has to be known until 15 minutes after *its own* time, and
may be forgotten then. Nonces are therefore kept by the time of their request,
in slots of five minutes that are dropped whole: one request costs one keyed
digest and one look into each of at most eight sets, however many are known.

The memory is bounded. When it is full, new requests are refused rather than
old nonces forgotten: forgetting would open the replay that it is there to
prevent. A nonce takes 70 bytes, so the default bound is some 140 MB in the
worst case, and is reached at more than 1,600 requests a second.

What is not done: nothing is written down, so a restart forgets, and a request
of the last 15 minutes before it can be replayed once after it. Writing every
nonce to disk would cost more than the request; TLS keeps requests from being
seen, and ClientToken makes a repeated creation harmless.

``Nonces`` is the port: where several processes answer, they need one memory
between them.
"""

from __future__ import annotations

import hashlib
import secrets
import threading
from enum import Enum
from typing import Protocol

#: How far a request's time may be from the server's, either way.
WINDOW_S = 15 * 60

_SLOT_S = 5 * 60


class Use(Enum):
    """What became of a nonce."""

    NEW = "new"  #: It was not known, and is now.
    USED = "used"  #: It was known already; nothing changed.
    FULL = "full"  #: There is no room to remember it; nothing changed.


class Nonces(Protocol):
    """A memory of nonces. Safe to call from any thread."""

    def use(self, key_id: str, nonce: str, *, at: float, now: float) -> Use:
        """Remember that *key_id* used *nonce* in a request of time *at*, which is within the window of *now*."""


class MemoryNonces:
    """The memory of one process.

    Digests are keyed at random, so nobody can make two nonces that collide.
    """

    def __init__(self, capacity: int = 2_000_000) -> None:
        self._capacity = capacity
        self._key = secrets.token_bytes(16)
        self._slots: dict[int, set[bytes]] = {}
        self._lock = threading.Lock()

    def use(self, key_id: str, nonce: str, *, at: float, now: float) -> Use:
        # 15 bytes make a bytes object of 48; one more would make it 64.
        mark = hashlib.blake2b(f"{key_id}\0{nonce}".encode(), digest_size=15, key=self._key).digest()
        slot = int(at // _SLOT_S)
        oldest = int((now - WINDOW_S) // _SLOT_S)
        with self._lock:
            slots = self._slots
            if slot not in slots:
                self._slots = slots = {s: marks for s, marks in slots.items() if s >= oldest}
                slots[slot] = set()
            known = 0
            for marks in slots.values():
                if mark in marks:
                    return Use.USED
                known += len(marks)
            if known >= self._capacity:
                return Use.FULL
            slots[slot].add(mark)
            return Use.NEW
