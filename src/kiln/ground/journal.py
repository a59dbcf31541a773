"""Events for the log: a name and facts, ``log.warning("task_failed", task=..., code=...)``.

What a thread is about, as a request or a task, is said once, ``with about(task=...)``: every event that it writes
meanwhile has those facts too.

A thin face over the standard library's ``logging``. structlog would do the
same and more; importing it (and, through it, rich) took a third of the time to
Kiln's first answer (docs/design/0005).
"""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, TypeVar

from kiln.ground.killpoints import passed

#: The attribute of a log record that holds the facts.
FACTS = "kiln_facts"

Result = TypeVar("Result")

_STEP = "step"


class _Now(threading.local):
    about: Mapping[str, Any] = {}


_now = _Now()


class about:  # noqa: N801 - it reads as what it is: with about(task=...).
    """While it is entered, events of this thread are about *facts*."""

    __slots__ = ("_before", "_facts")

    def __init__(self, **facts: Any) -> None:
        self._facts = facts

    def __enter__(self) -> None:
        self._before = _now.about
        _now.about = self._facts

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        _now.about = self._before


def said(facts: Mapping[str, Any]) -> dict[str, Any]:
    """*facts*, with what this thread is about; of a task that is its step too: the last kill point that it passed."""
    now = _now.about
    if not now:
        return dict(facts)
    return {**now, **facts} if _STEP in now or "task" not in now else {**now, **facts, _STEP: passed()}


def carrying(work: Callable[..., Result]) -> Callable[..., Result]:
    """*work*, which is about what this thread is about now on whatever thread it is done."""
    facts = {**_now.about, _STEP: passed()} if "task" in _now.about else _now.about

    def done(*given: Any) -> Result:
        before, _now.about = _now.about, facts
        try:
            return work(*given)
        finally:
            _now.about = before

    return done


class Journal:
    """Writes events of one part of the program."""

    def __init__(self, name: str) -> None:
        self._logger = logging.getLogger(name)

    def debug(self, event: str, **facts: Any) -> None:
        """A step of something, for who looks for a fault."""
        self._write(logging.DEBUG, event, facts)

    def info(self, event: str, **facts: Any) -> None:
        """Something happened as it should."""
        self._write(logging.INFO, event, facts)

    def warning(self, event: str, **facts: Any) -> None:
        """Something did not go as somebody wanted."""
        self._write(logging.WARNING, event, facts)

    def error(self, event: str, **facts: Any) -> None:
        """Something is wrong with Kiln."""
        self._write(logging.ERROR, event, facts)

    def exception(self, event: str, **facts: Any) -> None:
        """Something is wrong with Kiln; the exception being handled goes with it."""
        self._logger.error(event, extra={FACTS: said(facts)}, exc_info=sys.exc_info())

    def _write(self, level: int, event: str, facts: dict[str, Any]) -> None:
        if self._logger.isEnabledFor(level):
            self._logger.log(level, event, extra={FACTS: said(facts)})
