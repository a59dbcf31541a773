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

from collections import Counter
from dataclasses import replace
from functools import partial
from typing import NamedTuple

from kiln.calls.call import Job, NotYet
from kiln.calls.sizes import size_in
from kiln.declare.errors import ApiError
from kiln.declare.facts import dump
from kiln.declare.states import InstanceStatus
from kiln.ground.killpoints import reach
from kiln.operations.instances.parts import power
from kiln.operations.steps import variables
from kiln.store.database import Transaction
from kiln.store.hosts import Host, Room, hosts
from kiln.store.instances import instances, place
from kiln.store.interfaces import mark_vpcs_of
from kiln.store.leaving import let_next, put_last
from kiln.store.room import ask_for_room, find_elsewhere
from kiln.store.tasks import note
from kiln.upkeep import live
from kiln.upkeep.moves import ASKED, RECALLING, SENDING, SENT, STARTING, STOPPING, MoveFacts, being_sent

#: Guests that leave one host at a time, and that come to one: all of their memory goes through two processes.
MOST_SENT = 4
_LOOKS_AGAIN_S = 15.0  #: Who waits for a turn is told when there is one, and looks by itself only now and then.


class OperationDeniedNoStockElsewhere(ApiError):
    """No other host has room for the instance, which runs on where it is. Seen in the task, not in an answer."""

    code = "OperationDenied.NoStock"
    status = 403
    message = "No other host has room for it, which needs {needs}; it runs on where it is."
    hint = "`kiln host list` shows what each host has left: make room on another, or stop the instance."


def move(job: Job[MoveFacts]) -> None:
    """Do what is next: stop the instance here, start it here once it has stopped elsewhere, or have its guest go.

    Idempotent. Raises NotYet where it waits for its turn, or another host goes on; OperationDeniedNoStockElsewhere
    before anything was begun, ServiceUnavailableNotMoved where no host is left that would take it, and as
    ``power.start``, ``live.send`` and ``live.recall``.
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
        job.write(lambda tx: _fail(tx, job, error))
    elif job.facts.stage in (SENDING, RECALLING):
        live.stay(job, error)
    elif job.facts.stage == SENT:
        live.lose(job, error)
    elif job.facts.stage == STOPPING:
        power.fall_back(job, error)
    else:
        power.give_up_start(job, error)


_LIVE = {SENDING: live.send, SENT: live.take_over, RECALLING: live.recall}


def _fail(tx: Transaction, job: Job[MoveFacts], error: ApiError) -> None:
    job.fail(tx, error)
    let_next(tx)


def _begin(job: Job[MoveFacts]) -> bool:
    """Write down that the instance is being stopped, or its guest sent; False where the task has ended without that.

    So it is where somebody else asked for a stop or a restart, where its guest has powered off by itself, and where
    the host is not drained any more. Raises NotYet where it has to wait for its turn: then what else is to be done
    with the instance is done first.
    """
    is_on = job.ports.machines.is_running(job.task.resource)

    def begin(tx: Transaction) -> MoveFacts | None:
        leaving = _choose(tx, job, is_on=is_on)
        if leaving is None:
            job.finish(tx)
            let_next(tx)
            return None
        ask_for_room(tx, job.task, leaving.size)
        if job.facts.live:
            begun = replace(job.facts, stage=SENDING, source=job.ports.host, target=leaving.target)
            mark_vpcs_of(tx, job.task.resource)  # The other host is to lay its cable.
        else:
            begun = replace(job.facts, stage=STOPPING)
            instances.move(tx, InstanceStatus.RUNNING, InstanceStatus.STOPPING, {}, id=job.task.resource)
        note(tx, job.task, dump(begun, job.unknown))
        return begun

    try:
        with job.ports.database.read() as tx:
            _choose(tx, job, is_on=is_on)  # Hundreds may wait, and look again and again: a read is in nobody's way.
        begun = job.write(begin)
    except NotYet:
        job.write(lambda tx: put_last(tx, job.task))
        raise
    if begun is not None:
        job.facts = begun
    return begun is not None


class _Leaving(NamedTuple):
    """What is to leave, and where to."""

    size: Room
    target: str


def _choose(tx: Transaction, job: Job[MoveFacts], *, is_on: bool) -> _Leaving | None:
    """Where the instance is to go; None where it is not to leave any more.

    Raises NotYet where too many are being sent, OperationDeniedNoStockElsewhere, ServiceUnavailableNotMoved.
    """
    row = instances.find(tx, id=job.task.resource, status=InstanceStatus.RUNNING, host=job.ports.host)
    here = hosts.find(tx, name=job.ports.host)
    if row is None or not is_on or here is None or not here.is_draining:
        return None
    sizes = partial(size_in, job.ports.deployment)
    size, sent = sizes(row.instance_type), being_sent(tx)
    goes_to = {task: one.target for task, one in sent.items()}
    find = partial(find_elsewhere, tx, size, sizes, job.ports.host, goes_to=goes_to)
    target = find(but=job.facts.tried)
    if not target:
        raise _nowhere(tx, job, size)
    # A guest that stands still since it was sent before is not left so.
    if job.facts.live and not job.ports.machines.is_between(row.id):
        if sum(one.source == job.ports.host for one in sent.values()) >= MOST_SENT:
            raise NotYet(_LOOKS_AGAIN_S, "As many guests leave its host as may at once.")
        full = {host for host, count in Counter(goes_to.values()).items() if count >= MOST_SENT}
        target = find(but={*job.facts.tried, *full})
        if not target:
            raise NotYet(_LOOKS_AGAIN_S, "As many guests come to the hosts that have room for it as may at once.")
    return _Leaving(size, target)


def _nowhere(tx: Transaction, job: Job[MoveFacts], size: Room) -> ApiError:
    """That the instance runs on where it is, and of each other host why it does."""
    tried = job.facts.tried
    if not tried:
        return OperationDeniedNoStockElsewhere(needs=str(size))
    others = [one for one in hosts.all(tx) if one.name != job.ports.host]
    told = {one.name: _why_not(one) for one in sorted(others, key=lambda one: one.name)} | tried
    if len(told) == 1:
        ((host, reason),) = told.items()
        return live.ServiceUnavailableNotMoved(host=host, reason=reason)
    each = "; ".join(f"{host}: {reason.removesuffix('.')}" for host, reason in told.items())
    return live.ServiceUnavailableNotMoved(host="any other host", reason=f"{each}.")


def _why_not(host: Host) -> str:
    """Why a host is not asked."""
    if host.state != "in use":
        return f"it is {host.state}"
    return "it has no room for it" if host.worker else "no process of Kiln is seen there"


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
