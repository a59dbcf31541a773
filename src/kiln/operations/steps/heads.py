"""New heads for disks: their rows first, then their bytes, then the word that they are ready.

The row of a planned head names the layer that it will stand on, so the layer
stays even when the snapshot and the image that it came from are deleted before
the head is made (the sweeper drops nothing on which a row stands).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

from kiln.calls.call import Call, Job
from kiln.ground.killpoints import reach
from kiln.ground.values import dataclass
from kiln.store.database import Transaction
from kiln.store.volumes import Volume, make_ready, planned, reinstated, volumes


@dataclass(frozen=True)
class Head:
    """One head that is to be made."""

    volume: str
    layer: str | None  #: None for a blank one.
    size_bytes: int
    key: str = ""  #: With which a blank one is encrypted; any other is as its layer is.


def record(call: Call, task: str, wanted: Iterable[Head]) -> None:
    """Write the rows of planned heads that *task* will make."""
    rows = (planned(one.volume, "head", one.layer, one.size_bytes, task=task, now=call.now) for one in wanted)
    volumes.insert(call.tx, *rows)


def make(job: Job[Any], wanted: Iterable[Head]) -> None:
    """Make the heads in the pool. Idempotent. Raises PoolFull."""
    for head in wanted:
        reach("heads.begun")
        if head.layer is None:
            job.ports.pool.create(head.volume, head.size_bytes, head.key)
        else:
            job.ports.pool.clone(head.layer, head.volume, head.size_bytes)
        reach("heads.made")


def settle(tx: Transaction, made: Iterable[Head], now: float) -> None:
    """Record that the heads are there; in the same transaction something has to name them.

    One whose row is gone, as with a record that could not be read, is given it again.
    """
    for one in made:
        make_ready(tx, partial(_lost, one, now), id=one.volume)


def _lost(head: Head, now: float) -> Volume:
    return reinstated(head.volume, "head", head.layer, head.size_bytes, now=now)


def doom(tx: Transaction, ids: Sequence[str]) -> None:
    """Record that the heads are not wanted any more; the sweeper takes them away."""
    for one in ids:
        volumes.update(tx, {"state": "doomed", "task": None}, id=one)
