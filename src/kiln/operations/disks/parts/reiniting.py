"""A disk that goes on at a fresh head: what ResetDisk and ReInitDisk share.

The disk is ReIniting while the head is made; then it stands on that, and the
sweeper takes the old one away. No bytes are copied.
"""

from __future__ import annotations

from typing import Any

from kiln.calls.call import Call, Job
from kiln.declare.facts import facts
from kiln.declare.ids import new_id
from kiln.declare.states import DiskStatus
from kiln.ground.units import GiB
from kiln.operations.steps import heads
from kiln.operations.steps.heads import Head
from kiln.store.database import Transaction
from kiln.store.disks import Disk, disks
from kiln.store.volumes import volumes


@facts()
class Fresh:
    """The fresh head of one disk."""

    volume: str
    layer: str | None  #: What it stands on; None: it is blank.
    size_bytes: int
    before: str | None  #: The head that the disk has had.
    status: str  #: The disk's, to which it comes back.
    key: str = ""  #: That the disk is encrypted with.

    @property
    def head(self) -> Head:
        """The head to be made."""
        return Head(self.volume, self.layer, self.size_bytes, self.key)


def begin(call: Call, task: str, disk: Disk, layer: str | None, layer_bytes: int = 0) -> Fresh:
    """Record that the disk is ReIniting, and the head that *task* will make. It is as big as the disk, at least."""
    size_bytes = max(disk.size_gib * GiB, layer_bytes)
    fresh = Fresh(
        volume=new_id("volume"),
        layer=layer,
        size_bytes=size_bytes,
        before=disk.volume,
        status=disk.status,
        key=disk.kms_key,
    )
    heads.record(call, task, [fresh.head])
    disks.move(call.tx, DiskStatus(disk.status), DiskStatus.REINITING, {}, id=disk.id)
    return fresh


def settle(tx: Transaction, job: Job[Any], fresh: Fresh) -> bool:
    """Record that the disk stands on the head that was made; False where the disk is gone."""
    heads.settle(tx, [fresh.head], job.ports.clock())
    after = DiskStatus(fresh.status)
    if not disks.move(tx, DiskStatus.REINITING, after, {"volume": fresh.volume}, id=job.task.resource):
        return False
    volumes.update(tx, {"state": "doomed"}, id=fresh.before)
    return True


def take_back(tx: Transaction, job: Job[Any], fresh: Fresh) -> None:
    """Record that the disk stays as it was."""
    heads.doom(tx, [fresh.volume])
    disks.move(tx, DiskStatus.REINITING, DiskStatus(fresh.status), {}, id=job.task.resource)
