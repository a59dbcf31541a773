"""What ``GET /healthz`` and ``GET /readyz`` tell whoever watches a Kiln: whether it is alive, and whether all is well.

It is alive while no part of it has ended: what restarts it where it is not helps then, and against nothing else. Ready
it is while the database answers and can be written, and so can the folders. Each thing that is looked at has a name.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import kiln
from kiln.calls.call import Ports
from kiln.declare.states import TaskStatus
from kiln.ground.journal import Journal
from kiln.ground.units import MiB
from kiln.ground.values import dataclass
from kiln.service.ballast import Ballast
from kiln.service.datafolder import DataFolder
from kiln.service.writing import closed
from kiln.store import tasks
from kiln.store.errors import DatabaseDown
from kiln.store.trash import discards

log = Journal("kiln.service")


#: Some 50 images more. A pool on the same disk has no room by then either.
LEAST_FREE = 2 * MiB

DATABASE, ROOM, DATA, POOL, RUN, BUCKETS = "database", "room", "data", "pool", "machines", "buckets"
WEBHOOKS, PARTS = "webhooks", "parts"

#: What is looked at, and when that is well.
CHECKS = {
    DATABASE: "it answers, and nothing of it is known to be damaged",
    ROOM: "its disk has room for it; with PostgreSQL that is another machine's business",
    DATA: "the data folder can be written",
    POOL: "the pool can be written",
    RUN: "the folder of the machines can be written",
    BUCKETS: "the folder of the buckets can be written",
    WEBHOOKS: "it is looked up what they are to be told, and the database takes the record of what they were told",
    PARTS: "no thread has ended though nobody stopped it: of tasks, upkeep, records and webhooks",
}


@dataclass(frozen=True, kw_only=True)
class Health:
    """What a look has found."""

    faults: dict[str, str]  #: What is amiss, in words, by the check that found it.
    facts: dict[str, Any]

    @property
    def is_alive(self) -> bool:
        """Whether every part is at work."""
        return PARTS not in self.faults

    @property
    def is_ready(self) -> bool:
        """Whether all is well."""
        return not self.faults

    @property
    def told(self) -> dict[str, Any]:
        """The facts, with ``status`` (ok, failing), and where it is failing with the ``reason``, the gravest first."""
        if self.is_ready:
            return {"status": "ok", **self.facts}
        first, *more = (self.faults[name] for name in CHECKS if name in self.faults)
        reason = first if DATABASE in self.faults else "; ".join([first, *more])
        return {"status": "failing", "reason": reason, **self.facts}

    @property
    def checks(self) -> dict[str, str]:
        """``ok``, or what is amiss, by the name of each check."""
        return {name: self.faults.get(name, "ok") for name in CHECKS}


def health(
    ports: Ports,
    ballast: Ballast | None = None,
    dead: Sequence[str] = (),
    folder: DataFolder | None = None,
    *,
    untold: str = "",
) -> Health:
    """Look at everything. The facts are ``version``, ``machines``, and where the database answers ``tasks`` to do, and
    ``trash``: how many volumes wait in the pool's trash.

    *ballast* tells what the database's disk has free; None: another machine's business. *dead* are threads that ended.
    *folder* is the data folder, where it is to be looked at. *untold* says why webhooks are not told, if they are not.
    """
    facts: dict[str, Any] = {"version": kiln.__version__, "machines": ports.machines.kind}
    faults: dict[str, str] = {}
    try:
        facts["tasks"], facts["trash"] = ports.database.probe(
            lambda tx: (tasks.tasks.count(tx, status=TaskStatus.PROCESSING), discards.count(tx))
        )
    except DatabaseDown as error:
        if ports.database.damage is None:
            log.warning("database_down", reason=str(error))
            faults[DATABASE] = f"the database does not answer: {error}"
    if ports.database.damage is not None:
        faults[DATABASE] = _damaged(ports.database.damage)
    if ballast is not None and (free_bytes := ballast.free_bytes()) < LEAST_FREE:
        faults[ROOM] = f"the disk of the data folder is full: {free_bytes} bytes are free. Reading and deleting go on."
    if folder is not None:
        for place, reason in closed(folder, has_database=ballast is not None):
            faults[place] = f"{reason}. That lasts until it is put right; reading goes on."
    if untold:
        faults[WEBHOOKS] = f"webhooks are not told of changes: {untold}. What they are to be told waits."
    if dead:
        faults[PARTS] = (
            f"a part of Kiln has ended: {', '.join(dead)}. What it did is done by nobody until the service is started "
            "again; nothing is lost by that. Its last words are in the log."
        )
    return Health(faults=faults, facts=facts)


def _damaged(damage: str) -> str:
    return (
        f"the database is damaged: {damage}. Nothing is written or deleted any more, and what can be read is answered. "
        "Stop the service, keep a copy of the whole data folder, and run `kiln fsck`, which says the ways out."
    )
