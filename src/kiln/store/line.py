"""Who waits to write: a line whose first leads, and does the work of those behind it together with its own.

A commit takes as long as the disk takes to sync, however much is in it. So
those who come while one is under way do not each wait for one of their own:
the first of them leads, does what all of them came for in one transaction, and
tells them when it is durable. Who comes alone leads at once and waits for nobody.

Some sleep until then (``Sleeper``). Others have handed in what they want and
gone on (``Errand``): a request needs no thread that waits, and none is woken for it.
"""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from kiln.ground.journal import Journal, carrying
from kiln.ground.values import dataclass

log = Journal("kiln.store")

Done = TypeVar("Done")

MOST = 64  #: In one group.
#: The first of a group waits for all of it, so after so many seconds nobody else is taken in.
LONGEST_S = 0.02


@dataclass(frozen=True)
class Hands:
    """What somebody can do who hands something in and does not wait."""

    #: Has something carried out soon, on another thread; refuses nothing.
    start: Callable[[Callable[[], None]], None]
    #: Is called where this thread is to wait for the disk, before it does; raises nothing.
    waits: Callable[[], None] = lambda: None
    #: Has something carried out on another thread after so many seconds; None: nobody here comes back later.
    later: Callable[[float, Callable[[], None]], None] | None = None


class Member(ABC, Generic[Done]):
    """Who wants something done, with what came of it."""

    def __init__(self, want: Callable[..., Done]) -> None:
        self.want = carrying(want)  # Whoever leads does it, and may be somebody else.
        self.done: Done | None = None  #: What came of it, unless it failed.
        self.error: BaseException | None = None  #: What it failed with.

    def succeed(self, done: Done) -> None:
        """Have that returned to the caller, unless the group fails after all."""
        self.done, self.error = done, None

    def fail(self, error: BaseException) -> None:
        """Have *error* raised in the caller."""
        self.done, self.error = None, error

    def outcome(self) -> Done:
        """What was done; raises what was raised."""
        error, self.error = self.error, None
        if error is not None:
            try:
                raise error
            finally:
                del error  # Its traceback has this frame: together they would live until garbage is collected.
        assert self.done is not None  # It was done or it failed.
        return self.done

    @abstractmethod
    def wait(self) -> bool:
        """Called when it stands in the line, on the thread that put it there: whether it is to lead now."""

    @abstractmethod
    def lead(self) -> None:
        """Have it lead."""

    @abstractmethod
    def tell(self) -> None:
        """Say that it is done."""


class Sleeper(Member[Done]):
    """A caller whose thread sleeps meanwhile."""

    def __init__(self, want: Callable[..., Done]) -> None:
        super().__init__(want)
        self._leads = False
        self._woken = threading.Lock()
        self._woken.acquire()

    def wait(self) -> bool:
        self._woken.acquire()
        return self._leads

    def lead(self) -> None:
        self._leads = True
        self._woken.release()

    def tell(self) -> None:
        self._woken.release()  # Who leads is not asleep, and sleeps no more.


class Errand(Member[Done]):
    """What a caller has handed in who does not wait. Where it is to lead, *leads* has a thread do that.

    *then* is called with it when it is done, on the thread of whoever did it.
    """

    def __init__(
        self,
        want: Callable[..., Done],
        then: Callable[[Errand[Done]], None],
        leads: Callable[[Errand[Done]], None],
    ) -> None:
        super().__init__(want)
        self._then = then
        self._leads = leads

    def wait(self) -> bool:
        return False

    def lead(self) -> None:
        self._leads(self)

    def tell(self) -> None:
        try:
            self._then(self)
        except BaseException:
            log.exception("answer_lost")


class Line(Generic[Done]):
    """See the module's docstring. Safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: deque[Member[Done]] = deque()
        self._is_led = False
        self.longest_seconds = LONGEST_S

    def __len__(self) -> int:
        """How many wait."""
        return len(self._waiting)

    def join(self, member: Member[Done]) -> bool:
        """Whether *member* is to lead; where not, all is done, or will be told."""
        with self._lock:
            if not self._is_led:
                self._is_led = True
                return True
            self._waiting.append(member)
        return member.wait()

    def more(self, group: Sequence[Member[Done]], began: float) -> Member[Done] | None:
        """Who is taken into the *group* next, which began at that monotonic time; None: it is complete."""
        if len(group) >= MOST or time.monotonic() - began > self.longest_seconds:
            return None
        with self._lock:
            return self._waiting.popleft() if self._waiting else None

    def all_waiting(self) -> list[Member[Done]]:
        """Everybody who waits, to be told together; they wait no more."""
        with self._lock:
            waiting = list(self._waiting)
            self._waiting.clear()
        return waiting

    def leave(self, group: Sequence[Member[Done]]) -> None:
        """Let the next lead, and tell the *group* that all is done."""
        with self._lock:
            following = self._waiting.popleft() if self._waiting else None
            self._is_led = following is not None
        if following is not None:
            following.lead()
        for member in group:
            member.tell()
