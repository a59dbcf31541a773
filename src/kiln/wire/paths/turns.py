"""Who is answered next: peers take turns, so that one with a thousand requests costs another one turn.

Requests are answered on a few threads. What waits for one waits by its peer,
and each peer has its next request answered before any has its second. A thread
goes on with the next request without asking anybody, and one that is to wait for
the disk lets another begin meanwhile.

While requests are short one thread answers them as fast as several, which would
pass Python's lock to each other at every statement of SQLite. So another begins
only where none of them has come back for its next request for a while.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable

Job = Callable[[Callable[[], None]], None]  #: Raises nothing. It is told what it has to call before it waits.


class PeerTurns:
    """So many at once. Safe to use from any thread.

    *begin* has a thread of its own run what it is given. *patience_s* is how
    long jobs wait for a thread that is at work before another begins; whoever
    sets it calls ``hurry`` after that time as long as ``is_pressed``.
    """

    def __init__(self, at_once: int, begin: Callable[[Callable[[], None]], object], patience_s: float = 0.0) -> None:
        self._begin = begin
        self._free = self._at_once = at_once
        self._patience_s = patience_s
        self._taken_at = 0.0
        self._waiting: dict[str, deque[Job]] = {}
        self._lock = threading.Lock()

    @property
    def is_pressed(self) -> bool:
        """Whether jobs wait though there could be another thread for them."""
        return bool(self._waiting and self._free)

    def want(self, peer: str, job: Job) -> None:
        """Have *job* done when it is *peer*'s turn."""
        with self._lock:
            self._waiting.setdefault(peer, deque()).append(job)
            is_another = self._is_another_needed()
        if is_another:
            self._begin(self._go_on)

    def hurry(self) -> None:
        """Have another thread begin, if none has come for its next job for too long."""
        with self._lock:
            is_another = bool(self._waiting) and self._is_another_needed()
        if is_another:
            self._begin(self._go_on)

    def clear(self) -> None:
        """Forget what nobody has begun."""
        with self._lock:
            self._waiting.clear()

    def _is_another_needed(self) -> bool:
        """Take a place for another thread where one is needed and there is one."""
        now = time.monotonic()
        is_any_at_work = self._free < self._at_once
        if not self._free or (is_any_at_work and now - self._taken_at < self._patience_s):
            return False
        self._free -= 1
        self._taken_at = now
        return True

    def _go_on(self) -> None:
        """Do one job after the other, until there is none or another thread has this one's place."""
        is_over = False

        def end() -> None:
            nonlocal is_over
            if not is_over:
                is_over = True
                self._pass_on()

        while (job := self._next()) is not None:
            job(end)
            if is_over:
                return

    def _next(self) -> Job | None:
        with self._lock:
            if not self._waiting:
                self._free += 1
                return None
            peer, jobs = next(iter(self._waiting.items()))
            del self._waiting[peer]
            job = jobs.popleft()
            if jobs:
                self._waiting[peer] = jobs
            self._taken_at = time.monotonic()
            return job

    def _pass_on(self) -> None:
        with self._lock:
            if not self._waiting:
                self._free += 1
                return
            self._taken_at = time.monotonic()
        self._begin(self._go_on)
