"""A running guest that goes to another host of the same pool: sent there, decided in the database, taken over.

    host that it leaves                 the rows                 host that it comes to
      asks for a machine that waits ---------------------------->  receive
      sends the guest, which stands still in both then
      decides ------------------------> place(target)
                                                                   take_over: it goes on
      ends what is left of its machine

Until it is decided the guest is the first host's, and goes on there whatever
fails; from then on it is the second's. It is decided in one transaction, under
the number of the task's lease. The second may find that the guest never ran
there and never will, since its machine has ended: that is written down in the
same way, and then it goes on where it came from. So it runs in one of the two,
and at no moment in both.

Whose guest it is, the instance's row says, and that the other host's machine is
needed still, the task, as long as it is open (``moves.concerns``). A machine
between two hosts that neither of them speaks for is nobody's, and is ended.

What its firmware keeps is written in the rows before it goes on elsewhere. While
it is on its way each of the hosts has a cable for it (``calls.plane``): who
carries it is told by the row, and the other by the task (``moves.beside``).

Where no machine locks its disks the one of the two in which the guest does not run
is kept from writing before it runs in the other: see ``fencing``.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import ExitStack, suppress
from dataclasses import replace
from functools import partial

from kiln.calls.call import Job, NotYet, Ports
from kiln.calls.errors import ServiceUnavailableHostSilent
from kiln.calls.sizes import size_in
from kiln.declare.errors import ApiError
from kiln.declare.facts import dump
from kiln.declare.states import InstanceStatus
from kiln.ground.journal import Journal
from kiln.ground.killpoints import reach
from kiln.ground.units import MiB
from kiln.machines.errors import GuestStays, MachineError, MachineMissing, MachineRefused
from kiln.machines.port import GoesOn, Make
from kiln.operations.instances.parts import power
from kiln.operations.steps import variables
from kiln.operations.steps.transfer import Watch
from kiln.pools.errors import PoolError, VolumeBusy
from kiln.store import firmware, tasks
from kiln.store.database import Transaction
from kiln.store.hosts import NOTHING, hosts, is_given_up
from kiln.store.instances import Instance, instances, place
from kiln.store.interfaces import mark_vpcs_of
from kiln.store.leaving import let_next
from kiln.store.room import ask_for_room, left_on
from kiln.upkeep import fencing
from kiln.upkeep.moves import ASKED, RECALLING, SENDING, SENT, MoveFacts, concerns, hand_on, open_move, remembered

_LOOK_S = 0.5  #: Between two looks whether a guest that waits for a way is to go still.
_CALLED_OFF = "it was called off."
_COMES_WITHIN_S = 320.0  #: For a machine to wait, on a host that has much to do; its process says sooner that it won't.

log = Journal("kiln.upkeep")


class ServiceUnavailableNotMoved(ApiError):
    """A running guest could not go to another host, and goes on where it is. Seen in the task, not in an answer."""

    code = "ServiceUnavailable"
    status = 503
    message = "It could not go to {host} while it runs, and goes on where it is: {reason}"
    hint = "Ask again, or stop it: an instance that is stopped starts on any host."

    def __init__(self, *, host: str, reason: str, may_go_elsewhere: bool = False) -> None:
        super().__init__(host=host, reason=reason)
        self.may_go_elsewhere = may_go_elsewhere  #: Whether it was for this host alone that it did not go.


def _refused(host: str, reason: str) -> ServiceUnavailableNotMoved:
    """That one host did not take the guest, which may go to yet another."""
    return ServiceUnavailableNotMoved(host=host, reason=reason, may_go_elsewhere=True)


class NotAwaited(Exception):
    """Nobody waits here for the guest that another host wants to send; the message says why."""


def send(job: Job[MoveFacts]) -> None:
    """Send the guest, and write down that it is the other host's. Raises NotYet then, ServiceUnavailableNotMoved.

    Where yet another host may take it, that says so: see ``_refused``.
    """
    instance, target = job.task.resource, job.facts.target
    if not _is_here(job) or not job.ports.machines.is_running(instance):
        job.write(lambda tx: _finish(tx, job))
        return  # It was given up with its host; or its guest powered off, which whoever watches machines says.
    watch = _watch(job)
    if watch.is_cancelled():
        raise ServiceUnavailableNotMoved(host=target, reason=_CALLED_OFF)
    _note_source(job)
    _keep_variables(job)  # So that the machine that waits finds them.
    reach("live.before_send")
    try:
        make = job.ports.machines.make(instance)
        chains = power.chains(job.ports, instance)
        job.ports.machines.migrate(instance, lambda: _entrance(job, make, watch), _goes_on(watch), chains)
    except GuestStays as error:
        raise ServiceUnavailableNotMoved(host=target, reason=str(error)) from error
    except MachineRefused as error:
        raise _refused(target, str(error)) from error
    reach("live.sent")
    sent, sizes = _sent(job), partial(size_in, job.ports.deployment)
    left = job.ports.machines.variables(instance)  # As they stay: the guest stands still.

    def decide(tx: Transaction) -> bool:
        row, there = instances.find(tx, id=instance, host=job.ports.host), hosts.find(tx, name=target)
        if row is None or there is None:
            return False
        if not left_on(tx, target, sizes, there.worker).holds(sizes(row.instance_type)):
            return False
        variables.keep(tx, job.ports, instance, left)
        place(tx, instance, target)
        ask_for_room(tx, job.task, NOTHING)  # By the row it has its part of that host's from now on.
        tasks.note(tx, job.task, dump(sent, job.unknown))
        hand_on(tx, job.task)
        let_next(tx)
        return True

    if not job.write(decide):
        raise _refused(target, "it has no room for it any more.")
    reach("live.decided")
    raise NotYet(0.0, f"Its guest has come to {target}, where it is to go on.")


def stay(job: Job[MoveFacts], error: ApiError) -> None:
    """Have a guest that did not go go on here, and fail the task; raises NotYet where it may go to yet another host."""
    instance = job.task.resource
    if _is_here(job):
        power.grant(job.ports, instance)  # Its disks' files may have been given to the other host's machine.
        with suppress(MachineMissing):  # Whoever watches machines says that it is gone.
            job.ports.machines.recall(instance, _may_run_in(job, job.facts.writers))
        reach("live.stays")
    if isinstance(error, ServiceUnavailableNotMoved) and error.may_go_elsewhere:
        host, reason = job.facts.target, str(error.facts["reason"])
        tried = {**job.facts.tried, host: reason}
        again = replace(job.facts, stage=ASKED, target="", reason="", tried=tried, next_writers=())
        job.write(lambda tx: _look_further(tx, job, again))
        reach("live.looks_further")
        raise NotYet(0.0, f"Another host than {host} is looked for, as that did not take it: {reason}")
    job.write(lambda tx: _end(tx, job, error))


def recall(job: Job[MoveFacts]) -> None:
    """As ``stay``, of a guest that the other host gave back."""
    stay(job, _refused(job.facts.target, job.facts.reason))


def take_over(job: Job[MoveFacts]) -> None:
    """Have the guest that has come go on here, and record that. Raises NotYet where it goes on where it came from."""
    instance = job.task.resource
    if not _is_here(job):
        job.write(lambda tx: _finish(tx, job))
        return  # The host that it had come to was given up, and is not this one.
    keep_out = _may_run_in(job, job.facts.next_writers) if job.facts.next_writers else None
    try:
        chains = power.chains(job.ports, instance)
        job.ports.machines.take_over(instance, partial(_require_here, job), chains, keep_out)
    except MachineRefused as error:
        job.ports.machines.stop(instance, force=True)  # It may wait still, and must not when the other goes on.
        reach("live.refused")
        reason = str(error)
        job.write(lambda tx: _give_back(tx, job, reason))
        raise NotYet(0.0, f"Its guest goes on on {job.facts.source}, where it came from.") from error
    except MachineMissing:
        log.warning("guest_ended_as_it_came", instance=instance)  # Whoever watches machines says that it is gone.
        job.write(lambda tx: _finish(tx, job))
        return
    reach("live.taken_over")
    has = job.ports.machines.variables(instance)  # They came with the guest, and QEMU wrote them as that went on.

    def record(tx: Transaction) -> None:
        _take_variables(tx, job.ports, instance, has)
        _finish(tx, job)

    job.write(record)
    reach("live.recorded")


def lose(job: Job[MoveFacts], error: ApiError) -> None:
    """End a guest of which nobody can tell whether it runs where it came to: that it runs twice is worse.

    Where its machine ended before it ran, that can be told, and it goes on where it came from: raises NotYet then.
    """
    machines, instance = job.ports.machines, job.task.resource
    machines.stop(instance, force=True)
    if machines.is_between(instance) and _is_here(job):
        reach("live.refused")
        job.write(lambda tx: _give_back(tx, job, str(error)))
        raise NotYet(0.0, f"Its guest goes on on {job.facts.source}, where it came from.") from error
    left = "" if machines.is_between(instance) else machines.variables(instance)
    reach("live.lost")

    def record(tx: Transaction) -> None:
        variables.keep(tx, job.ports, instance, left)
        if instances.find(tx, id=instance, host=job.ports.host) is not None:
            instances.move(tx, InstanceStatus.RUNNING, InstanceStatus.STOPPED, {}, id=instance)
            place(tx, instance, "")
        _fail(tx, job, error)

    job.write(record)


def receive(ports: Ports, instance: str, make: Make) -> socket.socket | None:
    """Have a machine wait here for the guest of an instance; returns where that comes in, if it needs a way.

    Where one waits already that is ended, with whatever had come to it. Raises NotAwaited where the rows do not say
    that the guest comes here; MachineError, PoolError, NetworkError.
    """
    row = _awaited(ports, instance)
    reach("live.before_receive")
    ports.machines.receive(power.machine_here(ports, row, is_cabled=make.is_cabled), make)
    reach("live.received")
    _awaited(ports, instance)
    return ports.machines.entrance(instance)


def end_left(ports: Ports) -> list[str]:
    """End the machines between two hosts that are nobody's any more, or again; returns their instances.

    The guest of one that is the instance's own, and that stands still since its task was given up, goes on: also where
    it has come to by the row.
    """
    ended = []
    for instance in [one for one in ports.machines.running() if ports.machines.is_between(one)]:
        with ports.database.read() as tx:
            is_needed, is_left = concerns(tx, instance, ports.host), _stands_left(tx, instance, ports.host)
        if is_left:
            _recall_left(ports, instance)
        if is_needed:
            continue
        reach("live.before_end")
        ports.machines.stop(instance, force=True)
        reach("live.ended")
        log.info("machine_left_ended", instance=instance)
        ended.append(instance)
    return ended


class _NotLeft(Exception):
    """Somebody does something with the instance again."""


def _recall_left(ports: Ports, instance: str) -> None:
    """Have a guest go on whose task was given up while its machine did not answer. Nobody else ever would."""

    def may_run() -> None:
        # Nobody begins to send it while the machine is held, and who has begun before is seen here.
        with ports.database.read() as tx:
            if not _stands_left(tx, instance, ports.host):
                raise _NotLeft
        power.grant(ports, instance)
        fencing.require_one(ports, instance)  # Where several have its disks it is not known which is this one.

    with suppress(_NotLeft):
        try:
            if ports.machines.has_come(instance):
                _take_over_left(ports, instance, may_run)
            else:
                ports.machines.recall(instance, may_run)
        except (MachineError, PoolError) as error:
            log.warning("guest_stands_still", instance=instance, reason=str(error))
        else:
            log.warning("guest_left_standing_goes_on", instance=instance)


def _take_over_left(ports: Ports, instance: str, may_run: Callable[[], None]) -> None:
    """As ``take_over``, of a guest whose task was ended by its rows. Killed before it is recorded, the keeper does."""
    ports.machines.take_over(instance, may_run, power.chains(ports, instance))
    has = ports.machines.variables(instance)
    ports.database.write(lambda tx: _take_variables(tx, ports, instance, has))


def _stands_left(tx: Transaction, instance: str, host: str) -> bool:
    """Whether the instance runs on the host, as its row says, and nothing is to be done with it."""
    row = instances.find(tx, id=instance, host=host, status=InstanceStatus.RUNNING)
    return row is not None and not tasks.is_lane_busy(tx, instance)


def _is_here(job: Job[MoveFacts]) -> bool:
    """Whether the instance is this host's, as the row says."""
    with job.ports.database.read() as tx:
        return instances.find(tx, id=job.task.resource, host=job.ports.host) is not None


def _require_here(job: Job[MoveFacts]) -> None:
    """Raise LeaseLost where the task is another's by now, or the instance."""
    job.require_lease()
    if not _is_here(job):
        raise tasks.LeaseLost(job.task.id)


def _finish(tx: Transaction, job: Job[MoveFacts]) -> None:
    """Record that the task is done: on one host alone there is a cable of the instance's from then on."""
    job.finish(tx)
    mark_vpcs_of(tx, job.task.resource)
    let_next(tx)


def _fail(tx: Transaction, job: Job[MoveFacts], error: ApiError) -> None:
    """As ``_finish``, of a task that has failed."""
    job.fail(tx, error)
    mark_vpcs_of(tx, job.task.resource)
    let_next(tx)


def _end(tx: Transaction, job: Job[MoveFacts], error: ApiError) -> None:
    """As ``_fail``; as ``_finish`` where the instance is to be off by now, and nothing was left to be moved."""
    is_off = instances.count(tx, id=job.task.resource, status=InstanceStatus.STOPPING) > 0
    if is_off:
        _finish(tx, job)
    else:
        _fail(tx, job, error)


def _watch(job: Job[MoveFacts]) -> Watch:
    """Who tells how much of the guest's memory has been sent, and whether to go on."""
    with job.ports.database.read() as tx:
        row = instances.find(tx, id=job.task.resource)
    size = NOTHING if row is None else size_in(job.ports.deployment, row.instance_type)
    return Watch(job, [size.memory_mib * MiB], image=False)


def _goes_on(watch: Watch) -> GoesOn:
    tell = watch.of(0)

    def goes_on(percent: float) -> bool:
        tell(percent)
        return not watch.is_cancelled()

    return goes_on


def _look_further(tx: Transaction, job: Job[MoveFacts], again: MoveFacts) -> None:
    """Record that the guest is to go to yet another host; until one is found it takes no room but here."""
    ask_for_room(tx, job.task, NOTHING)
    tasks.tasks.update(tx, {"progress": 0}, id=job.task.id)
    tasks.note(tx, job.task, dump(again, job.unknown))
    mark_vpcs_of(tx, job.task.resource)


def _take_variables(tx: Transaction, ports: Ports, instance: str, has: str) -> None:
    """Record that this host has what the firmware of a guest that has come keeps, which goes on here by now."""
    variables.keep(tx, ports, instance, has)
    firmware.take(tx, instance, ports.host)


def _keep_variables(job: Job[MoveFacts]) -> None:
    """Write down what the guest's firmware keeps by now."""
    packed = job.ports.machines.variables(job.task.resource)
    job.write(lambda tx: variables.keep(tx, job.ports, job.task.resource, packed))


def _note_source(job: Job[MoveFacts]) -> None:
    """Write down what names its machine to the pool, before another has its disks open.

    Raises ServiceUnavailableNotMoved where another has them already, or nobody is known to.
    """
    try:
        writers = fencing.of_source(job)
    except VolumeBusy as error:
        raise ServiceUnavailableNotMoved(host=job.facts.target, reason=f"{error}.") from error
    if writers != job.facts.writers:
        job.note(replace(job.facts, writers=writers))


def _sent(job: Job[MoveFacts]) -> MoveFacts:
    """What is remembered of a guest that is to go on where it has come. Raises as ``send`` does."""
    try:
        return replace(job.facts, stage=SENT, next_writers=fencing.of_target(job))
    except VolumeBusy as error:
        raise _refused(job.facts.target, f"{error}.") from error


def _may_run_in(job: Job[MoveFacts], writers: tuple[str, ...]) -> Callable[[], None]:
    """What is to be done, and seen, before the guest runs in the machine of that name on this host."""
    return partial(fencing.keep_out, job, writers, partial(_require_here, job))


def _awaited(ports: Ports, instance: str) -> Instance:
    with ports.database.read() as tx:
        row, task = instances.find(tx, id=instance), open_move(tx, instance)
        is_drained = not left_on(tx, ports.host, partial(size_in, ports.deployment)).memory_mib
    known = None if task is None else remembered(task)
    comes = known is not None and (known.stage, known.target) == (SENDING, ports.host)
    if row is None or known is None or not comes or is_drained or row.host != known.source:
        raise NotAwaited(f"the guest of {instance} is not to come here")
    return row


def _entrance(job: Job[MoveFacts], make: Make, watch: Watch) -> socket.socket | None:
    """The way to a machine that waits on the other host, which may take minutes to come.

    Raises ServiceUnavailableNotMoved; GuestStays where it is called off meanwhile.
    """
    target = job.facts.target
    _may_run_in(job, job.facts.writers)()  # One that waited before, and was killed, seems to be there still.
    reach("live.before_entrance")
    try:
        with job.ports.database.read() as tx:
            asked = job.ports.elsewhere.entrance(tx, target, job.task.resource, make)
        deadline = time.monotonic() + _COMES_WITHIN_S
        with ExitStack() as unless_done:
            unless_done.callback(_leave, asked)  # Also where the database is away when it is looked whether to go on.
            while not _is_told(asked):
                is_late = time.monotonic() > deadline
                if watch.is_cancelled():
                    raise GuestStays(_CALLED_OFF)
                if is_late:
                    raise _refused(target, "no machine came to wait there in time.")
            unless_done.pop_all()
        return asked.result()
    except ServiceUnavailableHostSilent as error:
        raise _refused(target, str(error.facts["reason"])) from error


def _is_told(asked: Future[socket.socket | None]) -> bool:
    """Whether it is known whether there is a way, which is waited for for a moment."""
    try:
        asked.exception(_LOOK_S)
    except TimeoutError:
        return False
    return True


def _leave(asked: Future[socket.socket | None]) -> None:
    """Wait no longer for a way; one that came this moment is closed."""
    if not asked.cancel() and asked.exception() is None and (way := asked.result()) is not None:
        way.close()


def _give_back(tx: Transaction, job: Job[MoveFacts], reason: str) -> None:
    """Write down that a guest that never ran here goes on where it came from, unless that host was given up."""
    instance, source = job.task.resource, job.facts.source
    if is_given_up(tx, source):
        instances.move(tx, InstanceStatus.RUNNING, InstanceStatus.STOPPED, {}, id=instance)
        place(tx, instance, "")
        _fail(tx, job, ServiceUnavailableNotMoved(host=job.facts.target, reason=reason))
        return
    place(tx, instance, source)
    back = replace(job.facts, stage=RECALLING, reason=reason)
    tasks.note(tx, job.task, dump(back, job.unknown))
    hand_on(tx, job.task)
