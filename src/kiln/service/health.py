"""What ``GET /healthz`` tells whoever watches a Kiln: that it can answer requests, or why it cannot."""

from __future__ import annotations

from typing import Any

import kiln
from kiln.declare.journal import Journal
from kiln.declare.states import TaskStatus
from kiln.operations.call import Ports
from kiln.store import tasks
from kiln.store.database import DatabaseDown

log = Journal("kiln.service")


def health(ports: Ports) -> tuple[bool, dict[str, Any]]:
    """Whether all is well, and the facts: ``status`` (ok, failing), ``reason`` when failing, else ``tasks`` to do."""
    facts: dict[str, Any] = {"status": "ok", "version": kiln.__version__, "machines": ports.machines.kind}
    try:
        open_tasks = ports.database.probe(lambda tx: tasks.tasks.count(tx, status=TaskStatus.PROCESSING))
    except DatabaseDown as error:
        log.warning("database_down", reason=str(error))
        return False, facts | {"status": "failing", "reason": f"the database does not answer: {error}"}
    return True, facts | {"tasks": open_tasks}
