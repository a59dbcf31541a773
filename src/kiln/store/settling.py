"""What has just begun to change, and who waits a moment for it to come to rest.

Most tasks are done some milliseconds after the answer that began them. Clients
look at once, are told Creating, and look again after five seconds. So whoever
names a resource that has just begun to change is answered when it has come to
rest, or after a moment. They wait here without a thread. (docs/design/0021)
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import field

from kiln.declare.ids import LETTERS
from kiln.declare.states import RESTING
from kiln.ground.values import dataclass
from kiln.store.changes import Change
from kiln.store.line import Hands

#: From when a resource began to change, whoever looks. Under TCG on a busy host a machine starts in 0.4 to 0.7 s.
MOMENT_S = 1.0

Key = tuple[str, str]  #: An account and the ID of what is its own.

#: A name begins where letters do. Were each of a million letters tried as a beginning, all others would wait an hour.
_names = re.compile(rf"(?<![a-z])[a-z]+-[0-9a-z]{{{LETTERS}}}").findall


@dataclass(eq=False)
class _Waiter:
    """Who waits for *keys*, with what is to be carried out once, and who does it."""

    keys: set[Key]
    hands: Hands
    then: Callable[[], None]
    is_told: bool = False


@dataclass
class _Change:
    """A resource on its way: since when, by the monotonic clock, and who waits."""

    since: float
    waiters: list[_Waiter] = field(default_factory=list)


class Settling:
    """An ear of the hub's. Safe to use from any thread; what is to be carried out is carried out on another."""

    def __init__(self, moment_s: float = MOMENT_S) -> None:
        self._moment_s = moment_s
        self._lock = threading.Lock()
        self._changing: dict[Key, _Change] = {}  #: Those that began first come first.

    @property
    def remembered(self) -> int:
        """How many are remembered; those that had their moment are forgotten when another begins."""
        return len(self._changing)

    def put(self, changes: Sequence[Change]) -> None:
        """Hear *changes* that were committed."""
        over: list[_Waiter] = []
        with self._lock:
            for change in changes:
                key = change.account, change.id
                if change.new is None or change.new in RESTING:
                    if key in self._changing:
                        over.extend(self._at_rest(key))
                elif change.is_shown and change.old != change.new:
                    self._forget_old_ones()
                    self._changing.setdefault(key, _Change(time.monotonic()))
        for waiter in over:
            waiter.hands.start(waiter.then)

    def named_in(self, account: str, texts: Iterable[str]) -> set[Key]:
        """What of the account's own *texts* name by its ID, and has just begun to change."""
        if not self._changing:
            return set()
        named = {(account, name) for text in texts for name in _names(text)}
        with self._lock:
            began = time.monotonic() - self._moment_s
            return {key for key in named if key in self._changing and self._changing[key].since > began}

    def when_at_rest(self, keys: Collection[Key], hands: Hands, then: Callable[[], None]) -> bool:
        """Have *then* carried out once, when all of *keys* are at rest or have had their moment.

        False where nothing is to be waited for, or *hands* have nobody who comes back later: then it is not.
        """
        later = hands.later
        if later is None:
            return False
        with self._lock:
            waiter = _Waiter(keys={key for key in keys if key in self._changing}, hands=hands, then=then)
            if not waiter.keys:
                return False
            since = max(self._changing[key].since for key in waiter.keys)
            seconds = since + self._moment_s - time.monotonic()
            if seconds <= 0:
                return False
            for key in waiter.keys:
                self._changing[key].waiters.append(waiter)
        later(seconds, lambda: self._give_up(waiter))
        return True

    def _at_rest(self, key: Key) -> list[_Waiter]:
        """Forget it; returns those who waited for nothing else."""
        waiters = self._changing.pop(key).waiters
        for waiter in waiters:
            waiter.keys.discard(key)
        over = [waiter for waiter in waiters if not waiter.keys and not waiter.is_told]
        for waiter in over:
            waiter.is_told = True
        return over

    def _give_up(self, waiter: _Waiter) -> None:
        """Its moment is over."""
        with self._lock:
            if waiter.is_told:
                return
            waiter.is_told = True
        waiter.then()

    def _forget_old_ones(self) -> None:
        """Forget what nobody would wait for any more; those who do are given up by themselves."""
        began = time.monotonic() - self._moment_s
        while self._changing:
            oldest = next(iter(self._changing))
            if self._changing[oldest].since > began:
                return
            del self._changing[oldest]
