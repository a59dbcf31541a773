"""Asking machines side by side: each in a place of its own, so that a silent one is nobody else's delay."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Generic, TypeVar

from kiln.ground.journal import Journal
from kiln.machines.errors import MachineError
from kiln.pools.errors import PoolError

MOST_PLACES = 512  #: Threads that wait at once, which is what a silent machine costs.

Answer = TypeVar("Answer")

log = Journal("kiln.upkeep")


class Places(Generic[Answer]):
    """Where one question is asked of many machines, again and again.

    A machine that has not answered yet is not asked anew; what it answers in
    the end is in the next round's answers.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._asked: dict[str, Future[Answer]] = {}
        self._executor: ThreadPoolExecutor | None = None

    def ask(self, instances: Iterable[str], question: Callable[[str], Answer], within_s: float) -> dict[str, Answer]:
        """The answers of those that answered within *within_s*; whoever raised a MachineError or PoolError gave none.

        What else a question raises is logged.
        """
        if self._executor is None:
            self._executor = ThreadPoolExecutor(MOST_PLACES, thread_name_prefix=self._name)
        for instance in instances:
            if instance not in self._asked:
                self._asked[instance] = self._executor.submit(question, instance)
        wait(self._asked.values(), within_s)
        done = {instance: asked for instance, asked in self._asked.items() if asked.done()}
        answers = {}
        for instance, asked in done.items():
            del self._asked[instance]
            error = asked.exception()
            if error is None:
                answers[instance] = asked.result()
            elif not isinstance(error, MachineError | PoolError):
                log.error("question_failed", instance=instance, question=self._name, reason=repr(error))
        return answers
