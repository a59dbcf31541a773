"""What ``GET /healthz`` tells whoever watches a Kiln: that it can answer requests, or why it cannot."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import kiln
from kiln.calls.call import Ports
from kiln.declare.states import TaskStatus
from kiln.ground.journal import Journal
from kiln.ground.units import MiB
from kiln.service.ballast import Ballast
from kiln.service.datafolder import DataFolder
from kiln.service.writing import closed
from kiln.store import tasks
from kiln.store.errors import DatabaseDown
from kiln.store.trash import discards

log = Journal("kiln.service")


#: Some 50 images more. A pool on the same disk has no room by then either.
LEAST_FREE = 2 * MiB


def health(
    ports: Ports, ballast: Ballast | None = None, dead: Sequence[str] = (), folder: DataFolder | None = None
) -> tuple[bool, dict[str, Any]]:
    """Whether all is well, and the facts: ``status`` (ok, failing), ``reason`` when failing, ``tasks`` to do,
    ``trash``: how many volumes wait in the pool's trash.

    *ballast* tells what the database's disk has free; None: another machine's business. *dead* are threads that ended.
    *folder* is the data folder, where it is to be looked at.
    """
    facts: dict[str, Any] = {"status": "ok", "version": kiln.__version__, "machines": ports.machines.kind}
    try:
        open_tasks, waiting = ports.database.probe(
            lambda tx: (tasks.tasks.count(tx, status=TaskStatus.PROCESSING), discards.count(tx))
        )
    except DatabaseDown as error:
        if ports.database.damage is not None:
            return False, facts | _damaged(ports.database.damage)
        log.warning("database_down", reason=str(error))
        return False, facts | {"status": "failing", "reason": f"the database does not answer: {error}"}
    facts["tasks"] = open_tasks
    facts["trash"] = waiting
    if ports.database.damage is not None:
        return False, facts | _damaged(ports.database.damage)
    reason = _impaired(ballast, dead, folder)
    return (True, facts) if reason is None else (False, facts | {"status": "failing", "reason": reason})


def _impaired(ballast: Ballast | None, dead: Sequence[str], folder: DataFolder | None) -> str | None:
    """What is amiss although the database answers, in words."""
    if ballast is not None and (free_bytes := ballast.free_bytes()) < LEAST_FREE:
        return f"the disk of the data folder is full: {free_bytes} bytes are free. Reading and deleting go on."
    if folder is not None and (reasons := list(closed(folder, has_database=ballast is not None))):
        return f"{'; '.join(reasons)}. That lasts until it is put right; reading goes on."
    if dead:
        return (
            f"a part of Kiln has ended: {', '.join(dead)}. What it did is done by nobody until the service is started "
            "again; nothing is lost by that. Its last words are in the log."
        )
    return None


def _damaged(damage: str) -> dict[str, str]:
    reason = (
        f"the database is damaged: {damage}. Nothing is written or deleted any more, and what can be read is answered. "
        "Stop the service, keep a copy of the whole data folder, and run `kiln fsck`, which says the ways out."
    )
    return {"status": "failing", "reason": reason}
