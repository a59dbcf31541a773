"""The sweeper: gives space back, and keeps chains short.

What nothing names and nothing stands on is dropped. A layer that nothing names
and that has one child is merged upwards into the child and then dropped. A head
on a chain that has grown too deep absorbs what it stands on. Nothing is ever
written into a layer that may have other children (docs/design/0001), and no
file is taken away that a machine has open: it is helped to let it go first.
"""

from __future__ import annotations

from dataclasses import replace

from kiln.calls.call import Job, NotYet, Ports
from kiln.declare.errors import ApiError
from kiln.declare.facts import facts
from kiln.declare.states import DiskStatus, TaskStatus
from kiln.ground.journal import Journal
from kiln.ground.killpoints import reach
from kiln.ground.turns import Turns
from kiln.machines.errors import MachineBusy, MachineError, MachineMissing, MachineSilent
from kiln.pools.errors import PoolError
from kiln.store.database import Transaction
from kiln.store.disks import disks
from kiln.store.instances import host_of
from kiln.store.tasks import append, failed_in_a_row, is_waited_for, new_task, tasks
from kiln.store.volumes import (
    Volume,
    bypassable,
    chain,
    heads_deeper_than,
    is_any_unwanted,
    is_at_work,
    is_named,
    last_planned,
    unwanted,
    volumes,
)
from kiln.tasks.faults import fault_of
from kiln.upkeep import trash
from kiln.upkeep.places import Places

#: Reads hold to a depth of 20 and halve at 50 (engines.md 1, "chain depth"), so 16 leaves room for a burst.
DEEPEST = 16

#: To this depth a chain is brought back, so that it is not at the limit again after the next snapshot.
SHALLOW = 4

_TOO_DEEP = 2 * DEEPEST  #: Of a chain like that, so many layers are merged before anybody is given way, and the rest
_AT_ONCE = 4  #: behind him. Who waits adds two at most: a capture of his own, and one for a backup.

_BATCH = 64
_WAIT_S = 0.5  #: For the other merge to be done with the parent.
_FIRST_REST_S, _LONGEST_REST_S = 5.0, 600.0  #: Before a merge that failed is asked for again.

_FOLLOWING_S = 5.0  #: For the machines that are helped in one round; who is slower is in the next.
_MERGES, _LONGEST_TURN_S = 4, 60.0  #: At once: they are heavy. A guest that lets one wait takes no turn for good.

_places: Places[bool] = Places("follow")
_places_of_host: Places[bool] = Places("help")
_turns = Turns(_MERGES, _LONGEST_TURN_S)

MERGE = "Merge"  #: The action of the tasks that shorten chains.

log = Journal("kiln.upkeep")


@facts()
class MergeFacts:
    """What a merge remembers."""

    instance: str | None = None  #: Whose machine may run on the volume.
    shorten: bool = False  #: The chain was found too deep, and is brought back to where it is shallow.


def sweep(ports: Ports) -> list[str]:
    """Drop what can be dropped and enqueue the merges; returns the volumes that were dropped."""
    dropped: list[str] = []
    trash.empty(ports)
    while batch := _doom(ports):
        gone = trash.let_go(ports, batch)
        dropped += gone
        if not gone and not _have_let_go(ports, batch, _places):
            break
    if dropped:
        trash.relieve(ports)
    trash.forget(ports)
    _enqueue_merges(ports)
    return dropped


def _doom(ports: Ports) -> list[Volume]:
    """Mark what is unwanted, so that nothing can come to name it, and return it."""
    with ports.database.read() as tx:
        if not is_any_unwanted(tx):
            return []
        found, kept = unwanted(tx, _BATCH, trash.second_witness(tx, ports))
    trash.tell(kept)
    if not found:
        return []

    def mark(tx: Transaction) -> list[Volume]:
        found, _ = unwanted(tx, _BATCH, trash.second_witness(tx, ports))
        volumes.update(tx, {"state": "doomed"}, volumes.c.id.in_([v.id for v in found]))
        return found

    return ports.database.write(mark, gives_back=True)


def help_along(ports: Ports) -> None:
    """Have this host's guests let go of what is being dropped: the process that drops it may be on another host."""
    with ports.database.read() as tx:
        held = volumes.all(tx, state="doomed")
    if held:
        _have_let_go(ports, held, _places_of_host)


def _have_let_go(ports: Ports, held: list[Volume], places: Places[bool]) -> bool:
    """Have the guests that read what was merged away read what it was merged into; whether one closed anything.

    What cannot be let go now, because a merge is at work under the same guest,
    the next sweep asks for again.
    """

    def help_one(instance: str) -> bool:
        guest = ports.machines.guest(instance)
        try:
            return guest is not None and ports.pool.let_go(
                [volume.id for volume in held], _heads(ports, instance), guest
            )
        except MachineBusy:
            return False
        except (MachineError, PoolError) as error:
            log.warning("layers_kept_open", instance=instance, reason=str(error))
            return False

    return any(places.ask(ports.machines.running(), help_one, _FOLLOWING_S).values())


def _heads(ports: Ports, instance: str) -> list[str]:
    with ports.database.read() as tx:
        return [disk.volume for disk in disks.all(tx, instance=instance) if disk.volume is not None]


def _enqueue_merges(ports: Ports) -> None:
    with ports.database.read() as tx:
        wanted = [child for _, child in bypassable(tx, _BATCH)]
        wanted += heads_deeper_than(tx, DEEPEST)
    for child in dict.fromkeys(wanted):
        ports.database.write(lambda tx, child=child: _enqueue_merge(tx, ports, child))  # type: ignore[misc]


def _enqueue_merge(tx: Transaction, ports: Ports, child: str) -> None:
    """Write the task, unless the child is being worked on already."""
    row = volumes.find(tx, id=child)
    if row is None or row.state != "ready" or is_at_work(tx, row):
        return
    disk = disks.find(tx, volume=child)
    if disk is not None and disk.status not in (DiskStatus.AVAILABLE, DiskStatus.IN_USE):
        # It is on its way from one lane to another; the next sweep knows where it has come to.
        return
    if _rests(tx, child, ports.clock()):
        return
    lane = f"volume:{child}" if disk is None else disk.lane
    instance = disk.instance if disk else None
    host = host_of(tx, instance) if instance else ""
    task = new_task(MERGE, child, MergeFacts(instance=instance), ports.clock(), lane=lane, host=host)
    append(tx, task)
    # AttachDisk waits while a free disk's head has a task; a disk that is attached is safe by its lane.
    volumes.update(tx, {"task": task.id}, id=child)


def _rests(tx: Transaction, child: str, now: float) -> bool:
    """Whether the last merges into *child* failed so lately that the next is not asked for yet."""
    failures, last_at = failed_in_a_row(tx, "Merge", child)
    if last_at is None:
        return False
    # A failure that is still to come was recorded before the clock was set back: how long ago it was nobody knows.
    return last_at <= now < last_at + min(_FIRST_REST_S * 4.0 ** (failures - 1), _LONGEST_REST_S)


def merge(job: Job[MergeFacts]) -> None:
    """Carry out a merge: absorb parents one by one, until the chain is as it should be or somebody waits.

    A CreateImage of the same instance would wait for all of a deep chain's
    layers; this way it waits for one. What is left the next sweep asks for
    anew, behind whoever waited; or this one does, where the chain is so deep
    that it may grow faster than sweeps come. Likewise one that fails is not tried again in
    its lane, where its pauses would be everybody's: it ends, and the sweeper
    asks for another after a rest. Raises ApiError then, NotYet.
    """
    child, merged = job.task.resource, 0
    while (parent := _next_parent(job)) is not None:
        if not job.write(lambda tx, parent=parent: _claim(tx, job, parent)):  # type: ignore[misc]
            if _is_waited_for(job):
                break
            raise NotYet(_WAIT_S, "Something else is done with the disk just now.")
        try:
            with _turns.one():
                _absorb(job, child, parent)
        except MachineSilent:
            raise  # Whoever waits would not get an answer either, and QEMU may have a job at work that is in his way.
        except (MachineError, PoolError) as error:
            instance = job.facts.instance
            if isinstance(error, MachineMissing) and instance and not job.ports.machines.is_running(instance):
                # Its guest powered off this moment. What QEMU had copied up by then reads the same, and the rest is
                # done without it. One that runs and has lost its socket would be waited for without end.
                raise NotYet(_WAIT_S, "The machine ended while a layer was merged.") from error
            log.warning("merge_failed", volume=child, parent=parent, reason=str(error))
            raise fault_of(error).error from error
        reach("merge.absorbed")
        job.write(lambda tx, parent=parent: _bypass(tx, job, parent))  # type: ignore[misc]
        reach("merge.recorded")
        merged += 1
        if _gives_way(job, merged):
            break
    job.write(lambda tx: _leave(tx, job))


def give_up_merge(job: Job[MergeFacts], error: ApiError) -> None:  # noqa: ARG001 - the task says why.
    """Let go of the volumes. What was merged and not recorded the next merge records, for which the sweeper asks."""
    job.write(lambda tx: volumes.update(tx, {"task": None}, task=job.task.id))


def _absorb(job: Job[MergeFacts], child: str, parent: str) -> None:
    """Merge the two, unless an earlier run has. Raises MachineError, PoolError."""
    if job.ports.pool.parent(child) != parent:
        return
    instance = job.facts.instance
    guest = job.ports.machines.guest(instance) if instance else None
    beside = _heads(job.ports, instance) if instance else []
    reach("merge.begun")
    job.ports.pool.absorb(child, guest, [head for head in beside if head != child])


def _is_waited_for(job: Job[MergeFacts]) -> bool:
    with job.ports.database.read() as tx:
        return is_waited_for(tx, job.task)


def _gives_way(job: Job[MergeFacts], merged: int) -> bool:
    """Whether the rest can wait for whoever waits. On a chain that grows faster than it is shortened it cannot."""
    with job.ports.database.read() as tx:
        return is_waited_for(tx, job.task) and (merged >= _AT_ONCE or not _is_too_deep(tx, job))


def _is_too_deep(tx: Transaction, job: Job[MergeFacts]) -> bool:
    return len(chain(tx, job.task.resource)) > _TOO_DEEP


def _leave(tx: Transaction, job: Job[MergeFacts]) -> None:
    """End, and let go of the volumes; what is left of a chain that is far too deep has its turn behind whoever waits.

    It is of the head that the disk will have then, so that what is captured meanwhile is merged with the rest.
    """
    volumes.update(tx, {"task": None}, task=job.task.id)
    is_of_disk = disks.find(tx, volume=job.task.resource) is not None
    if is_of_disk and is_waited_for(tx, job.task) and _is_too_deep(tx, job):
        last = last_planned(tx, job.task.resource)
        assert last is not None  # A disk names it, so it has a row.
        rest = new_task(MERGE, last.id, job.facts, job.ports.clock(), lane=job.task.lane, host=job.task.host)
        tasks.insert(tx, rest)
    job.finish(tx)


def _claim(tx: Transaction, job: Job[MergeFacts], parent: str) -> bool:
    """Keep every other merge off the parent, which must stay on what it stands on; False when one is at it already.

    Were the parent merged with its own parent meanwhile, the child would come
    to stand on what that merge gives back.
    """
    row = volumes.find(tx, id=parent)
    other = None if row is None or row.task == job.task.id else row.task
    if other is not None and tasks.find(tx, id=other, status=TaskStatus.PROCESSING) is not None:
        return False
    volumes.update(tx, {"task": job.task.id}, id=parent)
    # A merge that is given up half-way may have made the child's file longer.
    volumes.update(tx, {"file_bytes": None}, id=job.task.resource)
    return True


def _next_parent(job: Job[MergeFacts]) -> str | None:
    """The parent that the child should absorb next, or None when all is well."""
    with job.ports.database.read() as tx:
        below = chain(tx, job.task.resource)
        row = volumes.find(tx, id=job.task.resource)
        if row is None or row.state != "ready" or len(below) == 1:
            return None
        parent = below[1]
        is_only_child = volumes_on(tx, parent) == 1
        if is_only_child and not is_named(tx, parent):
            return parent
        has_grown = len(below) > DEEPEST or (job.facts.shorten and len(below) > SHALLOW)
    if has_grown and row.kind == "head":
        if not job.facts.shorten:
            job.note(replace(job.facts, shorten=True))
        return parent
    return None


def volumes_on(tx: Transaction, parent: str) -> int:
    """How many volumes stand on *parent*."""
    return volumes.count(tx, parent=parent)


def _bypass(tx: Transaction, job: Job[MergeFacts], parent: str) -> None:
    child, row = job.task.resource, volumes.find(tx, id=parent)
    volumes.update(tx, {"parent": row.parent if row else None}, id=child, parent=parent)
    volumes.update(tx, {"file_bytes": job.ports.pool.length(child)}, id=child, kind="layer")
