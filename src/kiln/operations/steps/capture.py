"""Capturing disks at one instant: what CreateImage from an instance, CreateSnapshot and CreateSnapshotGroup share.

The names of the snapshots and of the fresh heads (the *heirs*) are written down
before anything is made. Then the pool freezes, and one last transaction says
that the old heads are layers now. A crash at any line is rolled forward: an
empty heir reads as its head does, so whichever of the two the disk is opened
at, its bytes are right (docs/design/0001).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from kiln.calls.call import MACHINE_SILENT, SILENCE_S, Call, Job, NotYet
from kiln.declare.errors import ApiError
from kiln.declare.facts import Raw, facts
from kiln.declare.ids import new_id
from kiln.declare.metrics import CAPTURES
from kiln.declare.states import DiskStatus, SnapshotStatus
from kiln.ground.killpoints import reach
from kiln.ground.values import dataclass
from kiln.operations.errors.disks import IncorrectDiskStatus
from kiln.operations.steps import heads
from kiln.operations.steps.drafts import new_snapshot
from kiln.operations.steps.heads import Head
from kiln.pools.errors import VolumeBusy
from kiln.pools.guests import Guest
from kiln.pools.port import Succession
from kiln.store.database import Transaction
from kiln.store.disks import Disk, disks
from kiln.store.snapshots import Snapshot, snapshots
from kiln.store.volumes import planned, volumes


class QuotaExceedSnapshot(ApiError):
    """The account has as many snapshots in the region as it may."""

    code = "QuotaExceed.Snapshot"
    status = 403
    message = "The snapshot quota exceeds."


class IncorrectDiskStatusCreatingSnapshot(ApiError):
    """A snapshot of the disk is being created already."""

    code = "IncorrectDiskStatus.CreatingSnapshot"
    status = 403
    message = "A previous snapshot creation is in process."


ERRORS: tuple[type[ApiError], ...] = (IncorrectDiskStatus, IncorrectDiskStatusCreatingSnapshot, QuotaExceedSnapshot)


@dataclass(frozen=True, kw_only=True)
class Capture:
    """One disk that will be captured, and the snapshot that it will be."""

    disk: Disk
    snapshot: Snapshot
    heir: str


@facts()
class Captured:
    """One disk: its snapshot, the head that becomes a layer, and the heir."""

    disk: str
    snapshot: str
    head: str
    heir: str


def _named(raw: Raw) -> Raw:
    """Version 1 held of each disk the four IDs in a row."""
    names = ("disk", "snapshot", "head", "heir")
    return raw | {"disks": [dict(zip(names, disk, strict=True)) for disk in raw["disks"]]}


@facts(version=2, older={1: _named})
class CaptureFacts:
    """What CreateImage, CreateSnapshot and CreateSnapshotGroup remember."""

    instance: str  #: Whose disks they are; "" for a free one.
    disks: tuple[Captured, ...]


def check_capturable(call: Call, region: str, wanted: Sequence[Disk]) -> None:
    """Raise the documented error unless every disk can be captured now."""
    for disk in wanted:
        if disk.status not in (DiskStatus.IN_USE, DiskStatus.AVAILABLE) or disk.volume is None:
            raise IncorrectDiskStatus(disk_id=disk.id)
    if is_capturing(call.tx, wanted):
        raise IncorrectDiskStatusCreatingSnapshot
    check_quota(call, region, len(wanted))


def check_quota(call: Call, region: str, wanted: int) -> None:
    """Raise QuotaExceedSnapshot unless the account may have so many more snapshots in the region."""
    limit = call.deployment.quotas.snapshots
    if call.ports.quota_watch.is_reached(
        ("snapshots", call.account, region),
        limit,
        lambda: snapshots.count(call.tx, account=call.account, region=region),
        wanted=wanted,
    ):
        raise QuotaExceedSnapshot(limit=limit)


def is_capturing(tx: Transaction, wanted: Sequence[Disk]) -> bool:
    """Whether a snapshot of one of the disks is under way.

    Told by the heirs, not by the snapshots: one that was deleted while it was
    progressing has an heir still, until its task has ended.
    """
    # One by one: a statement that is compiled already takes a thirtieth of what one for all would take to be compiled.
    present = [disk.volume for disk in wanted if disk.volume is not None]
    return any(volumes.count(tx, parent=head, state="planned") for head in present)


def plan_capture(
    call: Call,
    disk: Disk,
    *,
    name: str,
    description: str,
    made_for: str,
    resource_group: str,
    retention_days: int = 0,
    snapshot_group: str = "",
) -> Capture:
    """Decide on the names of what capturing *disk* will make."""
    draft = new_snapshot(
        account=call.account,
        region=disk.region,
        created_at=call.now,
        name=name,
        description=description,
        made_for=made_for,
        disk_type=disk.type,
        disk_size_gib=disk.size_gib,
        category=disk.category,
        device=disk.device,
        resource_group=resource_group,
        system=disk.system,
        kms_key=disk.kms_key,
    )
    snapshot = replace(
        draft,
        source_disk=disk.id,
        instance=disk.instance or "",
        retention_days=retention_days,
        from_released_system=disk.was_system,
        snapshot_group=snapshot_group,
    )
    return Capture(disk=disk, snapshot=snapshot, heir=_name_heir(call, disk))


def _name_heir(call: Call, disk: Disk) -> str:
    """The name under which the heir is open in the disk's machine already, or else a new one."""
    name = call.ports.pool.overlays.name_of(disk.volume or "")
    # A capture that came to nothing may have used it, and what is left of it be waiting for the sweeper.
    return new_id("volume") if name is None or volumes.find(call.tx, id=name) is not None else name


def record(call: Call, task_id: str, captures: Sequence[Capture]) -> CaptureFacts:
    """Write the snapshots and the planned heirs; returns the facts that the task needs."""
    rows, captured = [], []
    for capture in captures:
        head = volumes.find(call.tx, id=capture.disk.volume)
        assert head is not None  # A disk that is In_use or Available has its volume.
        rows.append(planned(capture.heir, "head", head.id, head.size_bytes, task=task_id, now=call.now))
        snapshots.insert(call.tx, capture.snapshot)
        captured.append(Captured(disk=capture.disk.id, snapshot=capture.snapshot.id, head=head.id, heir=capture.heir))
    volumes.insert(call.tx, *rows)
    return CaptureFacts(instance=captures[0].disk.instance or "", disks=tuple(captured))


def freeze(job: Job[CaptureFacts]) -> str:
    """Capture the instant; returns ``quiesced``, ``crash-consistent`` or, when nothing runs, ``""``.

    Raises PoolFull, and GuestAstray when the machine's names for its files lead
    elsewhere: nothing has changed then.
    """
    guest = _guest(job)
    reach("capture.begun")
    is_quiesced = job.ports.pool.freeze(_successions(job), guest)
    reach("capture.frozen")
    consistency = "" if guest is None else "quiesced" if is_quiesced else "crash-consistent"
    CAPTURES.add(consistency or "stopped")
    return consistency


def settle(tx: Transaction, job: Job[CaptureFacts], consistency: str) -> None:
    """Record in *tx* that the heads are layers, the heirs heads, and the snapshots accomplished.

    A disk or a snapshot that was deleted meanwhile is passed over; the sweeper takes what nothing names.
    """
    for one in job.facts.disks:
        layer = volumes.find(tx, id=one.head)
        assert layer is not None  # The disk stood on it until this line.
        # The disk may have been deleted meanwhile, and its head doomed with it; now a snapshot names the bytes.
        sealed = {"kind": "layer", "state": "ready", "file_bytes": job.ports.pool.length(one.head)}
        volumes.update(tx, sealed, id=one.head)
        heads.settle(tx, [Head(one.heir, one.head, layer.size_bytes)], job.ports.clock())
        disks.update(tx, {"volume": one.heir}, id=one.disk)
        changes = {"progress": 100, "volume": one.head, "size_bytes": layer.size_bytes, "consistency": consistency}
        snapshots.move(tx, SnapshotStatus.PROGRESSING, SnapshotStatus.ACCOMPLISHED, changes, id=one.snapshot)


def must_complete(job: Job[CaptureFacts], tell: Callable[[Transaction], None]) -> bool:
    """Whether a capture that is given up has happened, or may have, so that it must be completed instead.

    While nobody can tell, the snapshots fail, and *tell* says the same of what
    they were made for: nobody waits for a machine that may never answer. The
    heirs stay until it answers or ends, and NotYet is raised until then.
    """
    try:
        return job.ports.pool.has_frozen(_successions(job), _guest(job))
    except VolumeBusy as error:

        def fail(tx: Transaction) -> None:
            for one in job.facts.disks:
                snapshots.move(tx, SnapshotStatus.PROGRESSING, SnapshotStatus.FAILED, {}, id=one.snapshot)
            tell(tx)

        job.write(fail)
        raise NotYet(SILENCE_S, MACHINE_SILENT) from error


def _guest(job: Job[CaptureFacts]) -> Guest | None:
    return job.ports.machines.guest(job.facts.instance) if job.facts.instance else None


def _successions(job: Job[CaptureFacts]) -> list[Succession]:
    return [Succession(head=one.head, heir=one.heir) for one in job.facts.disks]


def abandon(tx: Transaction, job: Job[CaptureFacts], error: ApiError) -> None:
    """Record in *tx* that nothing was captured, and the task's end; the sweeper takes the heirs away."""
    job.fail(tx, error)
    for one in job.facts.disks:
        volumes.update(tx, {"state": "doomed", "task": None}, id=one.heir)
        snapshots.move(tx, SnapshotStatus.PROGRESSING, SnapshotStatus.FAILED, {}, id=one.snapshot)
