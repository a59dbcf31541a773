"""Work that goes on only when it is told to: from one kill point to the next, one at a time.

Whatever Kiln does passes kill points (``kiln.ground.killpoints``), and does the same
again when the same is drawn. So the points are where a simulated host may be held, be
overtaken by another, or die, and who goes on next is nobody's decision but the seed's.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from tests.dying import Killed

#: Real seconds until work that comes to no point counts as waiting for what another holds.
_PATIENCE_S = 300.0


class Stuck(Exception):
    """Work came neither to a point nor to its end."""


class _Here(threading.local):
    actor: Actor | None = None


_here = _Here()


class Actor:
    """Work on a thread of its own, which rests until ``go_on``, and at each point after that."""

    def __init__(self, name: str, work: Callable[[], Any]) -> None:
        self.name = name
        self.point = ""  #: Where it rests.
        self.is_over = False
        self.error: BaseException | None = None
        self.result: Any = None
        self.about = ""  #: The task that it carries out, if it is one.
        self.writing = 0  #: How deep it is in transactions that write: nobody rests with the writer's place.
        self._work = work
        self._is_dying = False
        self._go, self._rested = threading.Semaphore(0), threading.Semaphore(0)
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def go_on(self) -> None:
        """Have it work until its next point or its end. Raises Stuck."""
        self._go.release()
        if not self._rested.acquire(timeout=_PATIENCE_S):
            raise Stuck(f"{self.name} has come to no point since {self.point or 'its begin'}")

    def die(self) -> None:
        """End it where it rests, as a kill would; the stack unwinds, which it would not in a real one."""
        if not self.is_over:
            self._is_dying = True
            self.go_on()

    def join(self) -> None:
        """Wait for the thread of work that is over."""
        self._thread.join()

    def _run(self) -> None:
        _here.actor = self
        self._go.acquire()
        try:
            self.result = self._do()
        except BaseException as error:  # noqa: BLE001 - whoever looks at the actor judges it.
            self.error = error
        self.is_over = True
        self._rested.release()

    def _do(self) -> Any:
        if self._is_dying:
            self._end()
        return self._work()

    def _end(self) -> None:
        raise Killed

    def _rest(self, point: str) -> None:
        if self._is_dying:
            self._end()  # It cleans up, as a process that is killed does not; nothing of that goes on past a point.
        if self.writing:
            return
        self.point = point
        self._rested.release()
        self._go.acquire()
        if self._is_dying:
            self._end()


def rest_at(point: str) -> None:
    """Have the work of this thread rest, if it is an actor's; for ``killpoints.listen``."""
    if _here.actor is not None:
        _here.actor._rest(point)  # noqa: SLF001 - the actor's own thread calls.


class Writing:
    """A context in which the work of this thread does not rest."""

    def __enter__(self) -> None:
        if _here.actor is not None:
            _here.actor.writing += 1

    def __exit__(self, *_: object) -> None:
        if _here.actor is not None:
            _here.actor.writing -= 1
