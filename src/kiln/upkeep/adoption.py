"""What a Kiln takes up that an earlier one left, or that its rows do not know.

A machine may live although its instance is said to be Stopped: its folder was
lost or moved and it was taken for dead, or a database of before it was started
was put back. It is what it is, so the row follows it; else nobody could stop
it, and whoever starts the instance would meet it.
"""

from __future__ import annotations

from kiln.calls.call import Ports
from kiln.declare.states import InstanceStatus
from kiln.ground.journal import Journal
from kiln.operations.instances.parts.power import goes_on
from kiln.store.database import Transaction
from kiln.store.errors import DatabaseFull
from kiln.store.hosts import is_given_up
from kiln.store.instances import adopt_all, instances, is_any_elsewhere, place
from kiln.store.tasks import is_lane_busy

log = Journal("kiln.upkeep")


def adopt(ports: Ports) -> list[str]:
    """Have every row say of its machine what is so, and where it is; returns the instances that were found running.

    Nothing is written where nothing has to change.
    """
    if ports.is_alone:
        _take_over(ports)
    # One whose guest has left, or never came, tells nothing of its instance.
    living = [one for one in ports.machines.running() if not ports.machines.is_between(one)]
    with ports.database.read() as tx:
        said_to_be_off = instances.all(tx, instances.c.id.in_(living), status=InstanceStatus.STOPPED) if living else []
    found = []
    for instance in said_to_be_off:
        # It may have been stopped since it was seen; whoever is at it says himself how it ends.
        if goes_on(ports, instance.id):
            now = ports.clock()
            if ports.database.write(lambda tx, it=instance.id, now=now: _record(tx, ports, it, now)):  # type: ignore[misc]
                log.warning("machine_of_a_stopped_instance_runs", instance=instance.id)
                found.append(instance.id)
    return found


def _record(tx: Transaction, ports: Ports, instance: str, now: float) -> bool:
    if is_lane_busy(tx, instance) or (not ports.is_alone and is_given_up(tx, ports.host)):
        return False
    changes = {"started_at": now, "ever_started": True}
    has_moved = instances.move(tx, InstanceStatus.STOPPED, InstanceStatus.RUNNING, changes, id=instance)
    if has_moved:
        place(tx, instance, ports.host)
    return has_moved


def _take_over(ports: Ports) -> None:
    """Bind to this host what an earlier Kiln of another name for it left: no other can be at work.

    On a full disk the room that is kept goes to those for whom something is to be done: it may be what gives room back.
    """
    with ports.database.read() as tx:
        if not is_any_elsewhere(tx, ports.host):
            return
    try:
        ports.database.write(lambda tx: adopt_all(tx, ports.host))
    except DatabaseFull:
        ports.database.write(lambda tx: adopt_all(tx, ports.host, only_busy=True), gives_back=True)
