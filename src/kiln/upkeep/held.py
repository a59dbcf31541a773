"""Until when events wait that a receiver has refused, by webhook and resource.

It is known in memory alone: after a start all are tried at once, once more each.
"""

from __future__ import annotations

import threading
from collections.abc import Collection

from kiln.ground.values import dataclass


@dataclass(frozen=True)
class _Hold:
    until: float
    tries: int


class Held:
    """See the module. Times are seconds since the epoch. Safe to use from any thread.

    A hold is at most *longest_s* ahead: a clock that was set back makes nobody wait for more than was meant.
    """

    def __init__(self, longest_s: float) -> None:
        self._longest_s = longest_s
        self._lock = threading.Lock()
        self._holds: dict[str, dict[str, _Hold]] = {}

    def hold(self, webhook: str, resource: str, until: float) -> None:
        """Have what is about the resource wait until then."""
        with self._lock:
            holds = self._holds.setdefault(webhook, {})
            holds[resource] = _Hold(until, self._tries(webhook, resource) + 1)

    def release(self, webhook: str, resource: str | None = None) -> None:
        """Have it wait no more, or nothing of the webhook's."""
        with self._lock:
            if resource is None:
                self._holds.pop(webhook, None)
            elif (holds := self._holds.get(webhook)) is not None:
                holds.pop(resource, None)
                if not holds:
                    del self._holds[webhook]

    def now(self, webhook: str, at: float) -> dict[str, float]:
        """What waits at that time, and until when."""
        with self._lock:
            holds = self._holds.get(webhook, {})
            return {name: one.until for name, one in holds.items() if at < one.until <= at + self._longest_s}

    def tries(self, webhook: str, resource: str) -> int:
        """How often it was held since it was last released."""
        with self._lock:
            return self._tries(webhook, resource)

    def keep(self, webhooks: Collection[str]) -> None:
        """Forget all others' holds."""
        with self._lock:
            self._holds = {id_: holds for id_, holds in self._holds.items() if id_ in webhooks}

    def _tries(self, webhook: str, resource: str) -> int:
        hold = self._holds.get(webhook, {}).get(resource)
        return 0 if hold is None else hold.tries
