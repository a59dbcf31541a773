"""Capturing disks at one instant: what CreateImage from an instance and CreateSnapshot share.

The names of the snapshots and of the fresh heads (the *heirs*) are written down
before anything is made. Then the pool freezes, and one last transaction says
that the old heads are layers now. A crash at any line is rolled forward: an
empty heir reads as its head does, so whichever of the two the disk is opened
at, its bytes are right (docs/design/0001).
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from kiln.declare.errors import ApiError
from kiln.declare.ids import new_id
from kiln.declare.killpoints import reach
from kiln.declare.states import DiskStatus, SnapshotStatus
from kiln.machines.errors import MachineError
from kiln.operations.call import Call, Job
from kiln.operations.errors import (
    IncorrectDiskStatus,
    IncorrectDiskStatusCreatingSnapshot,
    QuotaExceedSnapshot,
    ServiceUnavailableNoRoom,
)
from kiln.pools.errors import PoolFull, VolumeBusy
from kiln.pools.port import Succession
from kiln.store.database import Transaction
from kiln.store.disks import Disk, disks
from kiln.store.snapshots import Snapshot, snapshots
from kiln.store.volumes import Volume, volumes

ERRORS: tuple[type[ApiError], ...] = (IncorrectDiskStatus, IncorrectDiskStatusCreatingSnapshot, QuotaExceedSnapshot)


@dataclass(frozen=True, kw_only=True)
class Capture:
    """One disk that will be captured, and the snapshot that it will be."""

    disk: Disk
    snapshot: Snapshot
    heir: str


def check_capturable(call: Call, region: str, wanted: Sequence[Disk]) -> None:
    """Raise the documented error unless every disk can be captured now."""
    for disk in wanted:
        if disk.status not in (DiskStatus.IN_USE, DiskStatus.AVAILABLE) or disk.volume is None:
            raise IncorrectDiskStatus(disk_id=disk.id)
    if is_capturing(call.tx, wanted):
        raise IncorrectDiskStatusCreatingSnapshot
    limit = call.deployment.quotas.snapshots
    if call.ports.quota_watch.is_reached(
        ("snapshots", call.account, region),
        limit,
        lambda: snapshots.count(call.tx, account=call.account, region=region),
        wanted=len(wanted),
    ):
        raise QuotaExceedSnapshot(limit=limit)


def is_capturing(tx: Transaction, wanted: Sequence[Disk]) -> bool:
    """Whether a snapshot of one of the disks is under way.

    Told by the heirs, not by the snapshots: one that was deleted while it was
    progressing has an heir still, until its task has ended.
    """
    # One by one: a statement that is compiled already takes a thirtieth of what one for all would take to be compiled.
    heads = [disk.volume for disk in wanted if disk.volume is not None]
    return any(volumes.count(tx, parent=head, state="planned") for head in heads)


def plan_capture(
    call: Call, disk: Disk, *, name: str, description: str, made_for: str, resource_group: str, retention_days: int = 0
) -> Capture:
    """Decide on the names of what capturing *disk* will make."""
    snapshot = Snapshot(
        id=new_id("snapshot"),
        account=call.account,
        region=disk.region,
        name=name,
        description=description,
        status=SnapshotStatus.PROGRESSING,
        progress=0,
        created_at=call.now,
        volume=None,
        source_disk=disk.id,
        source_disk_type=disk.type,
        source_disk_size_gib=disk.size_gib,
        category=disk.category,
        device=disk.device,
        instance=disk.instance or "",
        size_bytes=0,
        resource_group=resource_group,
        retention_days=retention_days,
        consistency="",
        from_released_system=disk.was_system,
        made_for=made_for,
        system=disk.system,
    )
    return Capture(disk=disk, snapshot=snapshot, heir=new_id("volume"))


def record(call: Call, task_id: str, captures: Sequence[Capture]) -> dict[str, object]:
    """Write the snapshots and the planned heirs; returns the facts that the task needs."""
    rows = []
    for capture in captures:
        head = volumes.find(call.tx, id=capture.disk.volume)
        assert head is not None  # A disk that is In_use or Available has its volume.
        rows.append(
            Volume(
                id=capture.heir,
                state="planned",
                kind="head",
                parent=head.id,
                size_bytes=head.size_bytes,
                task=task_id,
                created_at=call.now,
            )
        )
        snapshots.insert(call.tx, capture.snapshot)
    volumes.insert(call.tx, *rows)
    return {
        "instance": captures[0].disk.instance or "",
        "disks": [[c.disk.id, c.snapshot.id, c.disk.volume, c.heir] for c in captures],
    }


def freeze(job: Job) -> str:
    """Capture the instant; returns ``quiesced``, ``crash-consistent`` or, when nothing runs, ``""``.

    Raises ServiceUnavailableNoRoom when the pool is full: nothing has changed then.
    """
    guest = job.ports.machines.guest(job.facts["instance"]) if job.facts["instance"] else None
    successions = [Succession(head=head, heir=heir) for _, _, head, heir in job.facts["disks"]]
    reach("capture.begun")
    try:
        is_quiesced = job.ports.pool.freeze(successions, guest)
    except PoolFull as e:
        raise ServiceUnavailableNoRoom(reason=str(e)) from e
    reach("capture.frozen")
    if guest is None:
        return ""
    return "quiesced" if is_quiesced else "crash-consistent"


def settle(tx: Transaction, job: Job, consistency: str) -> None:
    """Record in *tx* that the heads are layers, the heirs heads, and the snapshots accomplished.

    A disk or a snapshot that was deleted meanwhile is passed over; the sweeper takes what nothing names.
    """
    for disk_id, snapshot_id, head, heir in job.facts["disks"]:
        layer = volumes.find(tx, id=head)
        assert layer is not None  # The disk stood on it until this line.
        # The disk may have been deleted meanwhile, and its head doomed with it; now a snapshot names the bytes.
        sealed = {"kind": "layer", "state": "ready", "file_bytes": job.ports.pool.length(head)}
        volumes.update(tx, sealed, id=head)
        volumes.update(tx, {"state": "ready", "task": None}, id=heir)
        disks.update(tx, {"volume": heir}, id=disk_id)
        changes = {"progress": 100, "volume": head, "size_bytes": layer.size_bytes, "consistency": consistency}
        snapshots.move(tx, SnapshotStatus.PROGRESSING, SnapshotStatus.ACCOMPLISHED, changes, id=snapshot_id)


def has_happened(job: Job) -> bool:
    """Whether a running guest writes to the heirs already, so that the capture must be completed, not given up.

    Raises VolumeBusy when nobody can tell: then it may still happen.
    """
    guest = job.ports.machines.guest(job.facts["instance"]) if job.facts["instance"] else None
    heirs = [heir for _, _, _, heir in job.facts["disks"]]
    try:
        return guest is not None and any(guest.has_node(heir) for heir in heirs)
    except MachineError:
        return not _is_prevented(job, heirs)


def _is_prevented(job: Job, heirs: Sequence[str]) -> bool:
    """Make sure that a machine which does not answer, and was perhaps told to, never goes over to the heirs.

    It goes over to all or to none. So it is enough that one is gone which it has not opened.
    """
    for heir in heirs:
        with suppress(VolumeBusy):
            job.ports.pool.drop(heir)
            return True
    raise VolumeBusy(f"the machine of {job.facts['instance']} does not answer and has its new disks open")


def abandon(tx: Transaction, job: Job) -> None:
    """Record in *tx* that nothing was captured; the sweeper takes the heirs away."""
    for _, snapshot_id, _, heir in job.facts["disks"]:
        volumes.update(tx, {"state": "doomed", "task": None}, id=heir)
        snapshots.move(tx, SnapshotStatus.PROGRESSING, SnapshotStatus.FAILED, {}, id=snapshot_id)
