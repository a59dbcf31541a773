"""The moment of a running instance that a backup keeps: its disks are captured as CreateImage captures them.

No snapshot comes of it. What was the head of each disk is a layer then, which
nobody writes any more, and which the sweeper merges away in its time; whoever
makes the backup has it open by then. Which disks are captured is decided when
the task's turn in the instance's lane has come, so nobody's CreateImage is
refused because a backup was asked for; and where somebody waits behind it, who
has decided by the heads that there are, it ends without, and is asked for again.

Where somebody always waits, it is asked for firmly: the heirs are planned when
it is asked for, as those of a CreateImage are, on top of those that are planned
already. So whoever comes behind it finds a capture under way, as he does behind
his own, until it has had its turn.

A backup that is killed takes nothing back. So it says again and again that it
still wants what it asked for, and what nobody wants any more ends at its turn.
"""

from __future__ import annotations

from dataclasses import field, replace

from kiln.calls.call import Job, NotYet
from kiln.declare.errors import ApiError
from kiln.declare.facts import UnreadableFacts, dump, facts, read
from kiln.declare.ids import new_id
from kiln.declare.states import DiskStatus, TaskStatus
from kiln.ground.killpoints import reach
from kiln.operations.steps import capture
from kiln.operations.steps.capture import Captured, CaptureFacts
from kiln.store.database import Transaction
from kiln.store.disks import Disk, disks
from kiln.store.instances import Instance, host_of
from kiln.store.tasks import Task, append, is_waited_for, new_task, note, tasks
from kiln.store.volumes import Volume, last_planned, planned, volumes

MOMENT = "KeepMoment"  #: The action of the task.

WANTED_S = 30.0  #: For so long a moment is wanted after somebody has said so.

_SOON_S = 1.0
_SLACK_S = 1.0  #: Between two looks at a clock.


@facts()
class MomentFacts:
    """What it remembers. Without disks nothing was begun, or nothing could be."""

    instance: str
    heirs: dict[str, str] = field(default_factory=dict)  #: By disk, how its heir is called where nothing else tells.
    disks: tuple[Captured, ...] = ()  #: Without snapshots.
    consistency: str = ""  #: As ``capture.freeze`` tells it, at the end.
    until: float = 0.0  #: When nobody wants it any more, unless somebody says again that he does; 0: not known.


def ask_for(tx: Transaction, instance: Instance, now: float, *, firmly: bool = False) -> str:
    """Write down that a moment of the instance is to be kept, and is wanted for ``WANTED_S``; returns the task.

    *firmly*: nobody else can plan to capture one of its disks until it has had its turn.
    """
    attached = disks.all(tx, instance=instance.id)
    heirs = {disk.id: new_id("volume") for disk in attached}
    task = new_task(
        MOMENT,
        instance.id,
        MomentFacts(instance=instance.id, heirs=heirs, until=now + WANTED_S),
        now,
        account=instance.account,
        region=instance.region,
        lane=instance.id,
        host=host_of(tx, instance.id),
    )
    append(tx, task)
    if firmly:
        for disk in attached:
            last = last_planned(tx, disk.volume) if disk.volume is not None else None
            if disk.status == DiskStatus.IN_USE and last is not None:
                heir = planned(heirs[disk.id], "head", last.id, last.size_bytes, task=task.id, now=now)
                volumes.insert(tx, heir)
    return task.id


def say_wanted(tx: Transaction, task: str, until: float) -> None:
    """Say until when what was asked for is wanted, if its turn has not come; a time that has passed takes it back."""
    row = tasks.find(tx, id=task, status=TaskStatus.PROCESSING, owner="")
    if row is None:
        return
    try:
        known, unknown = read(MomentFacts, row.payload)
    except UnreadableFacts:
        return
    if not known.disks:
        payload = dump(replace(known, until=until), unknown)
        tasks.update(tx, {"payload": payload}, id=task, status=TaskStatus.PROCESSING, owner="")


def told_by(task: Task) -> MomentFacts:
    """What a task that has ended kept."""
    try:
        return read(MomentFacts, task.payload)[0]
    except UnreadableFacts:
        return MomentFacts(instance=task.resource)


def keep_moment(job: Job[MomentFacts]) -> None:
    """Capture the disks of the instance at one instant, unless somebody waits behind us."""
    if not job.facts.disks and not _plan(job):
        return
    reach("keep_moment.planned")
    capturing = _as_capture(job)
    consistency = capture.freeze(capturing)

    def settle(tx: Transaction) -> None:
        capture.settle(tx, capturing, consistency)
        note(tx, job.task, dump(replace(job.facts, consistency=consistency), job.unknown))
        job.finish(tx)

    job.write(settle)
    reach("keep_moment.settled")


def give_up(job: Job[MomentFacts], error: ApiError) -> None:
    """Nothing was captured, or what was is completed. Raises NotYet while nobody can tell."""
    capturing = _as_capture(job)
    if not job.facts.disks:
        job.write(lambda tx: job.fail(tx, error))
    elif capture.must_complete(capturing, lambda _: None):
        keep_moment(job)
    else:
        job.write(lambda tx: capture.abandon(tx, capturing, error))


def _plan(job: Job[MomentFacts]) -> bool:
    """Write down what is captured; False where the task has ended without, for whoever asked to ask again."""

    def plan(tx: Transaction) -> tuple[Captured, ...]:
        attached = [disk for disk in disks.all(tx, instance=job.facts.instance) if disk.volume is not None]
        reserved = {disk.id: row for disk in attached if (row := _reserved(tx, job, disk)) is not None}
        if len(reserved) < len(attached):
            reserved.clear()
        of_task = {"task": job.task.id, "state": "planned"}
        # Of what was planned for a head that is none any more nothing was made.
        volumes.delete(tx, volumes.c.id.not_in([row.id for row in reserved.values()]), **of_task)
        is_in_the_way = not reserved and (is_waited_for(tx, job.task) or capture.is_capturing(tx, attached))
        if not attached or is_in_the_way or not _is_wanted(job):
            volumes.delete(tx, **of_task)
            job.finish(tx)
            return ()
        captured = tuple(_planned(tx, job, disk, reserved.get(disk.id)) for disk in attached)
        note(tx, job.task, dump(replace(job.facts, disks=captured), job.unknown))
        return captured

    captured = job.write(plan)
    job.facts = replace(job.facts, disks=captured)
    return bool(captured)


def _reserved(tx: Transaction, job: Job[MomentFacts], disk: Disk) -> Volume | None:
    """The heir that was planned for the disk when this was asked for, if the disk stands where it was planned on."""
    heir = job.facts.heirs.get(disk.id)
    return None if heir is None else volumes.find(tx, id=heir, parent=disk.volume, task=job.task.id, state="planned")


def _is_wanted(job: Job[MomentFacts]) -> bool:
    """Whether whoever asked may be there still. What is wanted for longer was said before the clock was set back."""
    now, until = job.ports.clock(), job.facts.until
    return not until or now <= until <= now + WANTED_S + _SLACK_S


def _planned(tx: Transaction, job: Job[MomentFacts], disk: Disk, reserved: Volume | None) -> Captured:
    """Plan the heir of one disk, unless it is. Raises NotYet."""
    head = volumes.find(tx, id=disk.volume)
    if head is None or head.state != "ready":
        raise NotYet(_SOON_S, "A disk of the instance is being made.")
    if reserved is not None:
        volumes.update(tx, {"size_bytes": head.size_bytes}, id=reserved.id)  # It may have grown since.
        return Captured(disk=disk.id, snapshot="", head=head.id, heir=reserved.id)
    heir = job.ports.pool.overlays.name_of(head.id)
    if heir is None or volumes.find(tx, id=heir) is not None:
        heir = job.facts.heirs.get(disk.id) or new_id("volume")
    row = planned(heir, "head", head.id, head.size_bytes, task=job.task.id, now=job.ports.clock())
    volumes.insert(tx, row)
    return Captured(disk=disk.id, snapshot="", head=head.id, heir=heir)


def _as_capture(job: Job[MomentFacts]) -> Job[CaptureFacts]:
    facts = CaptureFacts(instance=job.facts.instance, disks=job.facts.disks)
    return Job(task=job.task, ports=job.ports, facts=facts, gives_back=job.gives_back, is_ending=job.is_ending)
