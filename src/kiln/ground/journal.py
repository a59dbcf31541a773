"""Events for the log: a name and facts, ``log.warning("task_failed", task=..., code=...)``.

A thin face over the standard library's ``logging``. structlog would do the
same and more; importing it (and, through it, rich) took a third of the time to
Kiln's first answer (docs/design/0005).
"""

from __future__ import annotations

import logging
import sys
from typing import Any

#: The attribute of a log record that holds the facts.
FACTS = "kiln_facts"


class Journal:
    """Writes events of one part of the program."""

    def __init__(self, name: str) -> None:
        self._logger = logging.getLogger(name)

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
        self._logger.error(event, extra={FACTS: facts}, exc_info=sys.exc_info())

    def _write(self, level: int, event: str, facts: dict[str, Any]) -> None:
        if self._logger.isEnabledFor(level):
            self._logger.log(level, event, extra={FACTS: facts})
