"""Instances that leave a host which is drained: each is stopped there, and started on another host that has room.

It is one task of the instance's lane, so it waits for what was asked for
before, and what is asked for later waits for it. It begins only where another
host has room by then: an instance that could be started nowhere runs on where
it is. Between the stop and the start the task is bound to no host, and whoever
has room claims it, as any start; a kill at any line leaves it to be done.

The guest is asked to shut down, and its power is cut when it does not. What the
instance is to others (addresses, groups, metadata, serial number) are rows, and
go with it.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Literal

from kiln.calls.call import Job, NotYet
from kiln.calls.sizes import size_in
from kiln.declare.errors import ApiError
from kiln.declare.facts import UnreadableFacts, dump, facts, read
from kiln.declare.states import InstanceStatus, TaskStatus
from kiln.ground.killpoints import reach
from kiln.operations.instances.parts import power
from kiln.operations.steps import variables
from kiln.store.database import Transaction
from kiln.store.hosts import hosts
from kiln.store.instances import Instance, instances, place
from kiln.store.room import ask_for_room, find_elsewhere
from kiln.store.tasks import Task, append, new_task, note, tasks

MOVE = "MoveInstance"  #: The action of the task.

Stage = Literal["asked", "stopping", "starting"]

ASKED: Stage = "asked"
STOPPING: Stage = "stopping"
STARTING: Stage = "starting"


@facts()
class MoveFacts:
    """What it remembers."""

    stage: Stage = ASKED  #: What is done next, or may have been begun.


class OperationDeniedNoStockElsewhere(ApiError):
    """No other host has room for the instance, which runs on where it is. Seen in the task, not in an answer."""

    code = "OperationDenied.NoStock"
    status = 403
    message = "No other host has room for it, which needs {needs}; it runs on where it is."


def ask_for(tx: Transaction, instance: Instance, now: float) -> Task:
    """Write down that a Running instance is to leave its host; returns the task, that of before if it is open still."""
    waiting = tasks.find(tx, action=MOVE, resource=instance.id, status=TaskStatus.PROCESSING)
    if waiting is not None:
        return waiting
    task = new_task(
        MOVE,
        instance.id,
        MoveFacts(),
        now,
        account=instance.account,
        region=instance.region,
        lane=instance.id,
        host=instance.host,
    )
    return append(tx, task)


def stage_of(task: Task) -> Stage:
    """How far a task is; as if it were only asked for where its facts cannot be read."""
    try:
        return read(MoveFacts, task.payload)[0].stage
    except UnreadableFacts:
        return ASKED


def move(job: Job[MoveFacts]) -> None:
    """Stop the instance here, or start it here once it has stopped elsewhere. Idempotent.

    Raises NotYet between the two, OperationDeniedNoStockElsewhere before, and as ``power.start``.
    """
    if job.facts.stage == ASKED and not _begin(job):
        return
    if job.facts.stage == STOPPING:
        reach("moving.begun")
        job.ports.machines.stop(job.task.resource, force=False)
        reach("moving.stopped")
        _let_go(job)
        raise NotYet(0.0, "It waits for a host that has room for it.")
    power.start(job)


def give_up(job: Job[MoveFacts], error: ApiError) -> None:
    """Leave the instance as its machine is. Before anything was begun its status may be another task's."""
    if job.facts.stage == ASKED:
        job.write(lambda tx: job.fail(tx, error))
    elif job.facts.stage == STOPPING:
        power.fall_back(job, error)
    else:
        power.give_up_start(job, error)


def _begin(job: Job[MoveFacts]) -> bool:
    """Write down that the instance is being stopped; False where nothing is to be done, and the task has ended.

    So it is where somebody else asked for a stop or a restart, where its guest has powered off by itself, and where
    the host is not drained any more.
    """
    is_on = job.ports.machines.is_running(job.task.resource)
    begun = replace(job.facts, stage=STOPPING)

    def begin(tx: Transaction) -> bool:
        row = instances.find(tx, id=job.task.resource, status=InstanceStatus.RUNNING, host=job.ports.host)
        here = hosts.find(tx, name=job.ports.host)
        if row is None or not is_on or here is None or not here.is_draining:
            job.finish(tx)
            return False
        sizes = partial(size_in, job.ports.deployment)
        size = sizes(row.instance_type)
        if not find_elsewhere(tx, size, sizes, job.ports.host):
            raise OperationDeniedNoStockElsewhere(needs=str(size))
        instances.move(tx, InstanceStatus.RUNNING, InstanceStatus.STOPPING, {}, id=row.id)
        ask_for_room(tx, job.task, size)
        note(tx, job.task, dump(begun, job.unknown))
        return True

    if not job.write(begin):
        return False
    job.facts = begun
    return True


def _let_go(job: Job[MoveFacts]) -> None:
    """Write down that the machine has ended, and that the instance may be started by any host that has room."""
    stopped = replace(job.facts, stage=STARTING)
    left = job.ports.machines.variables(job.task.resource)

    def let_go(tx: Transaction) -> None:
        variables.keep(tx, job.ports, job.task.resource, left)
        instances.move(tx, InstanceStatus.STOPPING, InstanceStatus.STOPPED, {}, id=job.task.resource)
        instances.move(tx, InstanceStatus.STOPPED, InstanceStatus.STARTING, {}, id=job.task.resource)
        place(tx, job.task.resource, "")
        note(tx, job.task, dump(stopped, job.unknown))

    job.write(let_go)
    job.facts = stopped
