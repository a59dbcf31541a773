"""Who waits to write: a line whose first leads, and does the work of those behind it together with its own.

A commit takes as long as the disk takes to sync, however much is in it. So
those who come while one is under way do not each wait for one of their own:
the first of them leads, does what all of them came for in one transaction, and
wakes them when it is durable. Who comes alone leads at once and waits for nobody.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

Done = TypeVar("Done")

MOST = 64  #: In one group.
#: The first of a group waits for all of it, so after so many seconds nobody else is taken in.
LONGEST_SECONDS = 0.02


class Member(Generic[Done]):
    """A caller that waits, with what it wants and what came of it."""

    def __init__(self, want: Callable[..., Done]) -> None:
        self.want = want
        self.leads = False
        self.done: Done | None = None  #: What came of it, unless it failed.
        self._error: BaseException | None = None
        self._woken = threading.Lock()
        self._woken.acquire()

    def succeed(self, done: Done) -> None:
        """Have that returned to the caller, unless the group fails after all."""
        self.done, self._error = done, None

    def fail(self, error: BaseException) -> None:
        """Have *error* raised in the caller."""
        self.done, self._error = None, error

    def outcome(self) -> Done:
        """What was done; raises what was raised."""
        error, self._error = self._error, None
        if error is not None:
            try:
                raise error
            finally:
                del error  # Its traceback has this frame: together they would live until garbage is collected.
        assert self.done is not None  # It was done or it failed.
        return self.done

    def wait(self) -> None:
        """Sleep until somebody wakes it."""
        self._woken.acquire()

    def wake(self) -> None:
        """End ``wait``."""
        self._woken.release()


class Line(Generic[Done]):
    """See the module's docstring. Safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: deque[Member[Done]] = deque()
        self._is_led = False
        self.longest_seconds = LONGEST_SECONDS

    def join(self, member: Member[Done], waits: Callable[[], None]) -> bool:
        """Whether *member* is to lead; where not, all is done. *waits* is called where it has to sleep; it is quick."""
        with self._lock:
            if not self._is_led:
                self._is_led = True
                return True
            waits()  # Before anybody counts on this member: it might raise.
            self._waiting.append(member)
        member.wait()
        return member.leads

    def more(self, group: Sequence[Member[Done]], began: float) -> Member[Done] | None:
        """Who is taken into the *group* next, which began at that monotonic time; None: it is complete."""
        if len(group) >= MOST or time.monotonic() - began > self.longest_seconds:
            return None
        with self._lock:
            return self._waiting.popleft() if self._waiting else None

    def leave(self, group: Sequence[Member[Done]]) -> None:
        """Let the next lead, and tell the *group*, whose first is the caller, that all is done."""
        with self._lock:
            following = self._waiting.popleft() if self._waiting else None
            self._is_led = following is not None
        if following is not None:
            following.leads = True
            following.wake()
        for member in group[1:]:
            member.wake()
