"""Ending a task that nobody can carry out or give up: its action or its facts are unknown, or its give_up fails on.

What it had begun is told by the rows that name it or its resource, by the pool
and by the machines; its facts are not asked. Each resource leaves the state that
it is in between towards the side on which no byte is lost: a capture that may
have happened is completed, a disk that a machine holds stays attached, what was
not made yet is taken back, and an instance is what its machine is.
"""

from __future__ import annotations

from kiln.calls.call import MACHINE_SILENT, SILENCE_S, NotYet, Ports
from kiln.declare.errors import ApiError
from kiln.declare.states import DiskStatus, ImageStatus, InstanceStatus, SnapshotStatus
from kiln.ground.killpoints import reach
from kiln.ground.units import GiB
from kiln.ground.values import dataclass
from kiln.machines.errors import MachineError
from kiln.operations.instances.parts.power import goes_on
from kiln.operations.steps import heads
from kiln.operations.steps.heads import Head
from kiln.pools.errors import VolumeBusy
from kiln.pools.port import Succession
from kiln.store import images, interfaces, invocations, tags, tasks
from kiln.store.database import Transaction
from kiln.store.disks import Disk, disks
from kiln.store.instances import instances, place
from kiln.store.snapshots import snapshots
from kiln.store.tasks import Task
from kiln.store.volumes import Volume, volumes


@dataclass(frozen=True)
class _Heir:
    """A planned head above the head of a disk: a capture of that disk."""

    disk: Disk
    volume: Volume


@dataclass(frozen=True)
class _Seen:
    """What pool and machines say."""

    #: By the old head that becomes a layer, how many bytes its file has; empty: nothing was captured.
    captured: dict[str, int]
    held: frozenset[str]  #: The disks on their way whose volumes a machine has.
    sizes: dict[str, int]  #: By disk, the bytes that its volume has.
    is_on: bool  #: Whether the machine of the instance that the task is about runs.
    consistency: str  #: Of what was captured.


def end(ports: Ports, task: Task, error: ApiError) -> None:
    """Let go of all that the task had begun, and record it as Failed with *error*. Idempotent.

    Raises NotYet while a machine that may be captured does not answer: either
    end would lose what it writes.
    """
    with ports.database.read() as tx:
        heirs = _heirs(tx, task)
        on_their_way = _on_their_way(tx, task)
    seen = _look(ports, task, heirs, on_their_way)
    reach("unfinished.seen")
    ports.database.write(lambda tx: _record(tx, ports, task, error, seen), gives_back=True)
    reach("unfinished.recorded")


def fail_alone(tx: Transaction, task: Task, now: float, error: ApiError) -> bool:
    """Record the task as Failed and nothing else, for when ``end`` cannot; False while a capture hangs on it."""
    return not _heirs(tx, task) and tasks.fail(tx, task, now, error.code, str(error))


def _heirs(tx: Transaction, task: Task) -> list[_Heir]:
    found = []
    for volume in volumes.all(tx, task=task.id, state="planned", kind="head"):
        disk = disks.find(tx, volume=volume.parent) if volume.parent is not None else None
        # ResetDisk and ReplaceSystemDisk plan heads too, which may stand on a layer but never on a disk's head.
        if disk is not None:
            found.append(_Heir(disk, volume))
    return found


def _on_their_way(tx: Transaction, task: Task) -> list[Disk]:
    """The disks that the task is about."""
    disk = disks.find(tx, id=task.resource)
    return ([] if disk is None else [disk]) + disks.all(tx, instance=task.resource)


def _look(ports: Ports, task: Task, heirs: list[_Heir], on_their_way: list[Disk]) -> _Seen:
    try:
        captured = {one.volume.parent or "": ports.pool.length(one.volume.parent or "") for one in heirs}
        if not _is_captured(ports, heirs):
            captured = {}
        is_live = any(one.disk.instance and ports.machines.is_running(one.disk.instance) for one in heirs)
    except (MachineError, VolumeBusy) as e:
        raise NotYet(SILENCE_S, MACHINE_SILENT) from e
    return _Seen(
        captured=captured,
        held=frozenset(disk.id for disk in on_their_way if _is_held(ports, task, disk)),
        sizes={
            disk.id: ports.pool.size(disk.volume)
            for disk in on_their_way
            if disk.volume is not None and ports.pool.exists(disk.volume)
        },
        is_on=goes_on(ports, task.resource),
        # Nobody remembers whether the guest was quiesced.
        consistency="crash-consistent" if is_live else "",
    )


def _is_captured(ports: Ports, heirs: list[_Heir]) -> bool:
    """Whether the machine writes to the heirs; or, where none runs, whether a machine may have written to them."""
    if not heirs:
        return False
    instance = heirs[0].disk.instance
    guest = ports.machines.guest(instance) if instance is not None else None
    successions = [Succession(head=one.volume.parent or "", heir=one.volume.id) for one in heirs]
    return ports.pool.has_frozen(successions, guest)


def _is_held(ports: Ports, task: Task, disk: Disk) -> bool:
    """Whether the machine has the disk; one that does not answer may have it, if there is anything to have."""
    if disk.instance is None or not ports.machines.is_running(disk.instance):
        return False
    with ports.database.read() as tx:
        names = [disk.volume, *(one.id for one in volumes.all(tx, task=task.id))]
    made = [name for name in names if name is not None and ports.pool.exists(name)]
    if not made:
        return False
    try:
        guest = ports.machines.guest(disk.instance)
        return guest is not None and any(ports.pool.is_used(name, guest) for name in made)
    except MachineError:
        return True


def _record(tx: Transaction, ports: Ports, task: Task, error: ApiError, seen: _Seen) -> None:
    now = ports.clock()
    if not tasks.fail(tx, task, now, error.code, str(error)):
        return
    _end_capture(tx, task, seen)
    _end_image(tx, task, error, seen)
    invocations.end_of_task(tx, task.id, now, error.code, str(error))
    _end_instance(tx, task, seen)
    disk = disks.find(tx, id=task.resource)
    if disk is not None:
        _end_disk(tx, task, disk, seen, now)
    # After all others, which still look for what is planned.
    heads.doom(tx, [volume.id for volume in volumes.all(tx, task=task.id, state="planned")])
    volumes.update(tx, {"task": None}, task=task.id)


def _end_capture(tx: Transaction, task: Task, seen: _Seen) -> None:
    for heir in _heirs(tx, task):
        head = heir.volume.parent or ""
        if head not in seen.captured:
            continue
        sealed = {"kind": "layer", "state": "ready", "file_bytes": seen.captured[head]}
        volumes.update(tx, sealed, id=head)
        volumes.update(tx, {"state": "ready", "task": None}, id=heir.volume.id)
        disks.update(tx, {"volume": heir.volume.id}, id=heir.disk.id)
        changes = {
            "progress": 100,
            "volume": head,
            "size_bytes": heir.volume.size_bytes,
            "consistency": seen.consistency,
        }
        taken = {"source_disk": heir.disk.id, **_of_capture(tx, task)}
        snapshots.move(tx, SnapshotStatus.PROGRESSING, SnapshotStatus.ACCOMPLISHED, changes, **taken)
    # Those that were not captured. One that was to be a copy has its layer already, and needs it no longer.
    lost = {"volume": None}
    snapshots.move(tx, SnapshotStatus.PROGRESSING, SnapshotStatus.FAILED, lost, **_of_capture(tx, task))


def _of_capture(tx: Transaction, task: Task) -> dict[str, str]:
    """What the rows of the snapshots say that the task takes."""
    for column in ("id", "snapshot_group"):
        if snapshots.count(tx, **{column: task.resource}):
            return {column: task.resource}
    return {"made_for": task.resource}


def _end_image(tx: Transaction, task: Task, error: ApiError, seen: _Seen) -> None:
    image = images.images.find(tx, id=task.resource, status=ImageStatus.CREATING)
    if image is None:
        return
    made_of = [disk.snapshot for disk in images.disks_of(tx, [image.id])[image.id] if disk.snapshot]
    whole = [snapshots.find(tx, id=one, status=SnapshotStatus.ACCOMPLISHED) for one in made_of]
    if whole and all(whole):
        images.images.update(tx, {"consistency": seen.consistency}, id=image.id)
        images.publish(tx, image.id)
    else:
        images.fail(tx, image.id, error.code, str(error))


def _end_instance(tx: Transaction, task: Task, seen: _Seen) -> None:
    instance = instances.find(tx, id=task.resource)
    if instance is None:
        return
    if instance.status == InstanceStatus.PENDING:
        disks.delete(tx, instance=instance.id)
        tags.drop(tx, "instance", instance.id)
        interfaces.free(tx, instance.id)
        instances.delete(tx, id=instance.id)
        return
    after = InstanceStatus.RUNNING if seen.is_on else InstanceStatus.STOPPED
    for before in (InstanceStatus.STARTING, InstanceStatus.STOPPING):
        instances.move(tx, before, after, {}, id=instance.id)
    if not seen.is_on:
        place(tx, instance.id, "")
    for state in (DiskStatus.DETACHING, DiskStatus.REINITING):
        for disk in disks.all(tx, instance=instance.id, status=state):
            if not tasks.is_named(tx, disk.id):
                disks.move(tx, state, DiskStatus.IN_USE, {}, id=disk.id)
    for draft in disks.all(tx, disks.c.instance.is_(None), status=DiskStatus.CREATING, account=instance.account):
        # A system disk that was to replace the present one has no instance until then; no other task makes it.
        if not tasks.is_named(tx, draft.id):
            disks.delete(tx, id=draft.id)


def _end_disk(tx: Transaction, task: Task, disk: Disk, seen: _Seen, now: float) -> None:
    is_held = disk.id in seen.held
    free = {"instance": None, "device": ""}
    if disk.status == DiskStatus.CREATING:
        _end_creation(tx, task, disk, is_held, now)
    elif disk.status == DiskStatus.ATTACHING:
        after = DiskStatus.IN_USE if is_held else DiskStatus.AVAILABLE
        changes = {"ever_attached": True, "attached_at": now} if is_held else free
        disks.move(tx, DiskStatus.ATTACHING, after, changes, id=disk.id)
    elif disk.status == DiskStatus.DETACHING:
        # An instance whose machine does not run has the disk still: the next start takes it along.
        disks.move(tx, DiskStatus.DETACHING, DiskStatus.IN_USE, {}, id=disk.id)
    elif disk.status == DiskStatus.REINITING:
        after = DiskStatus.AVAILABLE if disk.instance is None else DiskStatus.IN_USE
        disks.move(tx, DiskStatus.REINITING, after, {}, id=disk.id)
    size_gib = seen.sizes.get(disk.id, disk.size_gib * GiB) // GiB
    if 0 < size_gib < disk.size_gib and not tasks.is_named(tx, disk.id):
        # It was to grow, and no other task does it: the rows say what the bytes are.
        disks.update(tx, {"size_gib": size_gib}, id=disk.id)
        volumes.update(tx, {"size_bytes": size_gib * GiB}, id=disk.volume)


def _end_creation(tx: Transaction, task: Task, disk: Disk, is_held: bool, now: float) -> None:
    """A disk that was to be made: it is there if its machine has it already, and else it never was."""
    planned = volumes.find(tx, task=task.id, state="planned", kind="head")
    if is_held and planned is not None:
        heads.settle(tx, [Head(planned.id, planned.parent, planned.size_bytes)], now)
        changes = {"volume": planned.id, "ever_attached": True, "attached_at": now}
        disks.move(tx, DiskStatus.CREATING, DiskStatus.IN_USE, changes, id=disk.id)
        return
    tags.drop(tx, "disk", disk.id)
    disks.delete(tx, id=disk.id)
