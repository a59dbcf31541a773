"""Instances that leave a host which is drained: by a stop there and a start elsewhere, or while they run.

It is one task of the instance's lane, so it waits for what was asked for
before, and what is asked for later waits for it. It begins only where another
host has room by then: an instance that could be started nowhere runs on where
it is. A kill at any line leaves it to be done.

One that is stopped: its guest is asked to shut down, and its power is cut when
it does not. Then the task is bound to no host, and whoever has room claims it,
as any start. What the instance is to others (addresses, groups, metadata, serial
number) are rows, and go with it. How a running guest goes is in
``kiln.upkeep.live``.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from kiln.calls.call import Job, NotYet
from kiln.calls.sizes import size_in
from kiln.declare.errors import ApiError
from kiln.declare.facts import dump
from kiln.declare.states import InstanceStatus
from kiln.ground.killpoints import reach
from kiln.operations.instances.parts import power
from kiln.operations.steps import variables
from kiln.store.database import Transaction
from kiln.store.hosts import hosts
from kiln.store.instances import instances, place
from kiln.store.interfaces import mark_vpcs_of
from kiln.store.room import ask_for_room, find_elsewhere
from kiln.store.tasks import note
from kiln.upkeep import live
from kiln.upkeep.moves import ASKED, RECALLING, SENDING, SENT, STARTING, STOPPING, MoveFacts


class OperationDeniedNoStockElsewhere(ApiError):
    """No other host has room for the instance, which runs on where it is. Seen in the task, not in an answer."""

    code = "OperationDenied.NoStock"
    status = 403
    message = "No other host has room for it, which needs {needs}; it runs on where it is."
    hint = "`kiln host list` shows what each host has left: make room on another, or stop the instance."


def move(job: Job[MoveFacts]) -> None:
    """Do what is next: stop the instance here, start it here once it has stopped elsewhere, or have its guest go.

    Idempotent. Raises NotYet where another host goes on, OperationDeniedNoStockElsewhere before anything was begun, and
    as ``power.start``, ``live.send`` and ``live.recall``.
    """
    if job.facts.stage == ASKED and not _begin(job):
        return
    if (step := _LIVE.get(job.facts.stage)) is not None:
        step(job)
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
    elif job.facts.stage in (SENDING, RECALLING):
        live.stay(job, error)
    elif job.facts.stage == SENT:
        live.lose(job, error)
    elif job.facts.stage == STOPPING:
        power.fall_back(job, error)
    else:
        power.give_up_start(job, error)


_LIVE = {SENDING: live.send, SENT: live.take_over, RECALLING: live.recall}


def _begin(job: Job[MoveFacts]) -> bool:
    """Write down that the instance is being stopped, or its guest sent; False where the task has ended without that.

    So it is where somebody else asked for a stop or a restart, where its guest has powered off by itself, and where
    the host is not drained any more.
    """
    is_on = job.ports.machines.is_running(job.task.resource)

    def begin(tx: Transaction) -> MoveFacts | None:
        row = instances.find(tx, id=job.task.resource, status=InstanceStatus.RUNNING, host=job.ports.host)
        here = hosts.find(tx, name=job.ports.host)
        if row is None or not is_on or here is None or not here.is_draining:
            job.finish(tx)
            return None
        sizes = partial(size_in, job.ports.deployment)
        size = sizes(row.instance_type)
        target = find_elsewhere(tx, size, sizes, job.ports.host)
        if not target:
            raise OperationDeniedNoStockElsewhere(needs=str(size))
        ask_for_room(tx, job.task, size)
        if job.facts.live:
            begun = replace(job.facts, stage=SENDING, source=job.ports.host, target=target)
            mark_vpcs_of(tx, row.id)  # The other host is to lay its cable.
        else:
            begun = replace(job.facts, stage=STOPPING)
            instances.move(tx, InstanceStatus.RUNNING, InstanceStatus.STOPPING, {}, id=row.id)
        note(tx, job.task, dump(begun, job.unknown))
        return begun

    begun = job.write(begin)
    if begun is not None:
        job.facts = begun
    return begun is not None


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
