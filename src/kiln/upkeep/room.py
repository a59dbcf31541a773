"""Starts that no host has room for: each is told why it waits, and waits for a bounded time."""

from __future__ import annotations

import time
from collections.abc import Callable

from kiln.calls.call import Ports
from kiln.ground.journal import Journal
from kiln.store import room
from kiln.store.database import Transaction
from kiln.store.hosts import Room

WAIT_S = 60.0  #: As long as a client of the cloud waits for an instance to leave Starting, with some to spare.

log = Journal("kiln.upkeep")


class RoomWatch:
    """Looks at the starts that nobody has claimed. One that has waited *wait_s* is ended by who claims it next.

    It is remembered here since when each waits, by a clock that nobody sets; whoever has this duty next counts anew.
    """

    def __init__(self, wait_s: float = WAIT_S, steady: Callable[[], float] = time.monotonic) -> None:
        self._wait_s, self._steady = wait_s, steady
        self._since: dict[str, float] = {}

    def __call__(self, ports: Ports) -> list[str]:
        """Returns the tasks that have waited for long enough."""
        if ports.is_alone:
            return []
        now = self._steady()
        with ports.database.read() as tx:
            waiting = room.waiting(tx)
        self._since = {task: self._since.get(task, now) for task in waiting}
        # What has come since the last look is mostly claimed by the next.
        again = {task: size for task, size in waiting.items() if self._since[task] < now}
        over = [task for task in again if now - self._since[task] >= self._wait_s]
        if again:
            ports.database.write(lambda tx: _tell(tx, again, over))
        if over:
            log.warning("no_room_for_starts", tasks=over)
        return over


def _tell(tx: Transaction, waiting: dict[str, Room], over: list[str]) -> None:
    for task, size in waiting.items():
        room.explain(tx, task, f"No host has room for it, which needs {size}.")
    for task in over:
        room.wait_no_more(tx, task)
