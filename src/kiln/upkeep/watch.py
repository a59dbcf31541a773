"""The watch: notices machines that are gone while their instances are said to run, and wakes those that stand still.

A guest that powers itself off, or a host that was switched off, tells nobody. What
ran when its host lost its power is started again, as a real machine is by whoever
cares for it; what ended by itself is not, since its guest may have meant it.
Instances for which a task is still to be done are left to that task.
"""

from __future__ import annotations

from kiln.calls.call import Ports
from kiln.declare.states import InstanceStatus
from kiln.ground.journal import Journal
from kiln.ground.values import dataclass
from kiln.operations.steps import variables
from kiln.store.database import Transaction
from kiln.store.instances import Instance, idle_running, instances, place
from kiln.store.tasks import is_lane_busy
from kiln.upkeep.places import Places
from kiln.upkeep.starting import starts_again
from kiln.upkeep.unasked import keep_reason

_PATIENCE_S = 3.0  #: For the answers of one round; who is slower is in the next.

HOST_WAS_OFF = "The host was switched off while the machine ran, and the instance is started again."
MACHINE_GONE = "MachineGone"  #: What ended, in place of an action, and why.

log = Journal("kiln.upkeep")


def watch(ports: Ports) -> list[str]:
    """Record as Stopped every Running instance of this host whose machine is gone; returns their IDs.

    Those whose host was switched off are Starting then. Done at start and every couple of seconds. Never races with
    a task: a start since the row was read shows in ``started_at``, anything else in the lane.
    """
    with ports.database.read() as tx:
        said_to_run = idle_running(tx, ports.host)
    gone = [instance for instance in said_to_run if not ports.machines.is_running(instance.id)]
    if gone and ports.machines.adopt():
        gone = [instance for instance in gone if not ports.machines.is_running(instance.id)]
    stopped = []
    for instance in gone:
        end = _end_of(ports, instance.id)
        if ports.database.write(lambda tx, it=instance, end=end: _record(tx, ports, it, end)):  # type: ignore[misc]
            log.warning("machine_gone", instance=instance.id, reason=end.reason)
            stopped.append(instance.id)
    return stopped


class Waker:
    """Lets machines go on that stand still: the pool was full, or what had held them was cut short. Nobody else does.

    All are asked side by side, each for a few seconds at most.
    """

    def __init__(self) -> None:
        self._places: Places[bool] = Places("wake")

    def __call__(self, ports: Ports) -> list[str]:
        """Returns the instances whose machines go on."""
        with ports.database.read() as tx:
            said_to_run = idle_running(tx, ports.host)

        def wake(instance: str) -> bool:
            return ports.machines.is_running(instance) and ports.machines.wake(instance)

        answers = self._places.ask([instance.id for instance in said_to_run], wake, _PATIENCE_S)
        woken = [instance for instance, was_stopped in answers.items() if was_stopped]
        for instance in woken:
            log.warning("machine_stood_still", instance=instance)
        return woken


@dataclass(frozen=True, kw_only=True)
class _End:
    """What a machine that is gone has left."""

    starts_again: bool
    reason: str
    variables: str


def _end_of(ports: Ports, instance: str) -> _End:
    starts = ports.machines.went_with_host(instance)
    reason = HOST_WAS_OFF if starts else _reason(ports.machines.last_words(instance))
    return _End(starts_again=starts, reason=reason, variables=ports.machines.variables(instance))


def _reason(words: str) -> str:
    told = "The machine ended by itself: its guest powered off, or somebody else ended it, or the host was off."
    return f"{told} QEMU's last words: {words}" if words else told


def _record(tx: Transaction, ports: Ports, instance: Instance, end: _End) -> bool:
    if is_lane_busy(tx, instance.id):
        return False
    now = ports.clock()
    variables.keep(tx, ports, instance.id, end.variables)
    has_moved = instances.move(
        tx, InstanceStatus.RUNNING, InstanceStatus.STOPPED, {}, id=instance.id, started_at=instance.started_at
    )
    if has_moved:
        if not (end.starts_again and starts_again(tx, ports, instance, now)):
            place(tx, instance.id, "")
        keep_reason(tx, instance, MACHINE_GONE, end.reason, now)
    return has_moved
