"""The moment of a running instance that a backup keeps: its disks are captured as CreateImage captures them.

No snapshot comes of it. What was the head of each disk is a layer then, which
nobody writes any more, and which the sweeper merges away in its time; whoever
makes the backup has it open by then. Which disks are captured is decided when
the task's turn in the instance's lane has come, so nobody's CreateImage is
refused because a backup was asked for; and where somebody waits behind it, who
has decided by the heads that there are, it ends without, and is asked for again.
"""

from __future__ import annotations

from dataclasses import field, replace

from kiln.calls.call import Job, NotYet
from kiln.declare.errors import ApiError
from kiln.declare.facts import UnreadableFacts, dump, facts, read
from kiln.declare.ids import new_id
from kiln.ground.killpoints import reach
from kiln.operations.steps import capture
from kiln.operations.steps.capture import Captured, CaptureFacts
from kiln.store.database import Transaction
from kiln.store.disks import disks
from kiln.store.instances import Instance, host_of
from kiln.store.tasks import Task, is_waited_for, new_task, note, tasks
from kiln.store.volumes import planned, volumes

MOMENT = "KeepMoment"  #: The action of the task.

_SOON_S = 1.0


@facts()
class MomentFacts:
    """What it remembers. Without disks nothing was begun, or nothing could be."""

    instance: str
    heirs: dict[str, str] = field(default_factory=dict)  #: By disk, how its heir is called where nothing else tells.
    disks: tuple[Captured, ...] = ()  #: Without snapshots.
    consistency: str = ""  #: As ``capture.freeze`` tells it, at the end.


def ask_for(tx: Transaction, instance: Instance, now: float) -> str:
    """Write down that a moment of the instance is to be kept; returns the task."""
    heirs = {disk.id: new_id("volume") for disk in disks.all(tx, instance=instance.id)}
    task = new_task(
        MOMENT,
        instance.id,
        MomentFacts(instance=instance.id, heirs=heirs),
        now,
        account=instance.account,
        region=instance.region,
        lane=instance.id,
        host=host_of(tx, instance.id),
    )
    tasks.insert(tx, task)
    return task.id


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
        captured: list[Captured] = []
        if not attached or is_waited_for(tx, job.task) or capture.is_capturing(tx, attached):
            job.finish(tx)
            return ()
        for disk in attached:
            head = volumes.find(tx, id=disk.volume)
            if head is None or head.state != "ready":
                raise NotYet(_SOON_S, "A disk of the instance is being made.")
            heir = job.ports.pool.overlays.name_of(head.id)
            if heir is None or volumes.find(tx, id=heir) is not None:
                heir = job.facts.heirs.get(disk.id) or new_id("volume")
            captured.append(Captured(disk=disk.id, snapshot="", head=head.id, heir=heir))
            row = planned(heir, "head", head.id, head.size_bytes, task=job.task.id, now=job.ports.clock())
            volumes.insert(tx, row)
        note(tx, job.task, dump(replace(job.facts, disks=tuple(captured)), job.unknown))
        return tuple(captured)

    captured = job.write(plan)
    job.facts = replace(job.facts, disks=captured)
    return bool(captured)


def _as_capture(job: Job[MomentFacts]) -> Job[CaptureFacts]:
    facts = CaptureFacts(instance=job.facts.instance, disks=job.facts.disks)
    return Job(task=job.task, ports=job.ports, facts=facts, gives_back=job.gives_back, is_ending=job.is_ending)
