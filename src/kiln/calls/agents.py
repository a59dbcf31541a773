"""What the guest agents of running instances say of themselves, asked beside the requests that want to know.

A guest may answer nothing: whoever asks has a thread of these for some seconds,
and never one on which requests are answered. One that kept silent is asked
again now and then, and not waited for.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor

from kiln.ground.clock import Clock
from kiln.ground.values import dataclass
from kiln.machines.errors import MachineError
from kiln.machines.port import Agent, Machines

_AT_ONCE = 256  #: As many silent guests hold nobody else up; more do for the seconds that one is given.
_COUNTS_S = 5.0  #: So long an answer counts, while the guest is asked again.
_SILENCE_COUNTS_S = 10.0
_MOST_KNOWN = 4096  #: Guests of which something is remembered.


@dataclass(frozen=True)
class Told:
    """What an agent said, and when."""

    agent: Agent
    at: float  #: By the deployment's clock.


@dataclass(frozen=True)
class _Known:
    told: Told | None  #: None where no agent answers.
    until: float  #: Till when that counts, by the monotonic clock.
    is_silent: bool = False  #: Something is there, and said nothing.


class Agents:
    """See the module. Safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[str, _Known] = {}  #: What was known last comes last.
        self._asked: dict[str, Future[None]] = {}
        self._executor: ThreadPoolExecutor | None = None

    def ask(self, machines: Machines, clock: Clock, instances: Iterable[str]) -> Future[None] | None:
        """Have the agents of instances asked; what is given is done when all have answered or nobody is there.

        None where nobody has to be waited for.
        """
        awaited = [one for instance in instances if (one := self._ask(machines, clock, instance)) is not None]
        return _all_of(awaited) if awaited else None

    def known(self, instance: str) -> Told | None:
        """What the instance's agent said just now; None where none did."""
        with self._lock:
            known = self._known.get(instance)
        return known.told if known is not None and known.until > time.monotonic() else None

    def _ask(self, machines: Machines, clock: Clock, instance: str) -> Future[None] | None:
        with self._lock:
            known = self._known.get(instance)
            is_silent = known is not None and known.is_silent and known.until > time.monotonic()
            if is_silent:
                return None
            asked = self._asked.get(instance)
            if asked is None:
                if self._executor is None:
                    self._executor = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="ask-agent")
                asked = self._asked[instance] = self._executor.submit(self._learn, machines, clock, instance)
            return asked

    def _learn(self, machines: Machines, clock: Clock, instance: str) -> None:
        known = _Known(None, 0.0)
        try:
            known = _look(machines, clock, instance)
        finally:
            with self._lock:
                self._asked.pop(instance, None)
                self._known.pop(instance, None)
                self._known[instance] = known
                while len(self._known) > _MOST_KNOWN:
                    del self._known[next(iter(self._known))]


def _look(machines: Machines, clock: Clock, instance: str) -> _Known:
    try:
        inside = machines.inside(instance)
        # Where nothing listens nobody has to be waited for.
        if inside is None or not inside.is_there():
            return _Known(None, 0.0)
        return _Known(Told(inside.about(), clock()), time.monotonic() + _COUNTS_S)
    except MachineError:
        return _Known(None, time.monotonic() + _SILENCE_COUNTS_S, is_silent=True)


def _all_of(asked: list[Future[None]]) -> Future[None]:
    """Done when all of them are, however they ended."""
    done: Future[None] = Future()
    left, lock = len(asked), threading.Lock()

    def one_less(_: Future[None]) -> None:
        nonlocal left
        with lock:
            left -= 1
            is_last = not left
        if is_last:
            done.set_result(None)

    for one in asked:
        one.add_done_callback(one_less)
    return done
