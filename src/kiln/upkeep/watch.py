"""The watch: notices machines that are gone while their instances are said to run, and wakes those that stand still.

A guest that powers itself off, or a host that was switched off, tells nobody.
Instances for which a task is still to be done are left to that task.
"""

from __future__ import annotations

from contextlib import suppress

from kiln.declare.journal import Journal
from kiln.declare.states import InstanceStatus
from kiln.machines.errors import MachineError
from kiln.operations.call import Ports
from kiln.store.database import Transaction
from kiln.store.instances import Instance, idle_running, instances
from kiln.store.tasks import is_lane_busy

log = Journal("kiln.upkeep")


def watch(ports: Ports) -> list[str]:
    """Record as Stopped every Running instance whose machine is gone; returns their IDs.

    Done at start and every couple of seconds. Never races with a task: a start
    since the row was read shows in ``started_at``, anything else in the lane.
    """
    with ports.database.read() as tx:
        said_to_run = idle_running(tx)
    gone = [instance for instance in said_to_run if not ports.machines.is_running(instance.id)]
    stopped = []
    for instance in gone:
        if ports.database.write(lambda tx, instance=instance: _record(tx, instance)):  # type: ignore[misc]
            log.warning("machine_gone", instance=instance.id)
            stopped.append(instance.id)
    return stopped


def wake(ports: Ports) -> list[str]:
    """Let the machines go on that were stopped because the pool was full; returns their instances.

    Nobody else does that once there is room again.
    """
    with ports.database.read() as tx:
        said_to_run = idle_running(tx)
    woken = []
    for instance in said_to_run:
        with suppress(MachineError):  # It ended this moment, or is too busy to answer: there is a next time.
            if ports.machines.is_running(instance.id) and ports.machines.wake(instance.id):
                log.warning("machine_had_no_room", instance=instance.id)
                woken.append(instance.id)
    return woken


def _record(tx: Transaction, instance: Instance) -> bool:
    if is_lane_busy(tx, instance.id):
        return False
    return instances.move(
        tx, InstanceStatus.RUNNING, InstanceStatus.STOPPED, {}, id=instance.id, started_at=instance.started_at
    )
