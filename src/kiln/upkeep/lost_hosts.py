"""Hosts that are lost: what was theirs is given up, so that it can go on elsewhere; and what one does that comes back.

A host is lost when its process was not seen for the grace, did not end in order,
and holds its lock on the database no more; the database's server tells all of
that. Whoever decides has been seen himself all that time: after an outage of the
server, or of the network, each process comes back to find all others silent.

A host that is given up may live, and its machines run until its process finds
out. That they do no harm meanwhile is the pool's to see to, which lets no second
machine write what a first one has open. What ran there, and did not run since,
is started again when the host is back.
"""

from __future__ import annotations

from kiln.calls.call import Ports
from kiln.declare.states import InstanceStatus
from kiln.ground.journal import Journal
from kiln.ground.killpoints import reach
from kiln.operations.instances.reboot_instance import reboot_instance
from kiln.store import hosts, tasks, workers
from kiln.store.database import Database, Transaction
from kiln.store.instances import ON, Instance, instances, place
from kiln.store.lanes import open_in, put_behind
from kiln.store.leaving import MOVE
from kiln.store.room import Sizes, ask_for_room
from kiln.store.tasks import Task
from kiln.upkeep.moves import end_moot, is_by_stop
from kiln.upkeep.starting import starts_again
from kiln.upkeep.unasked import keep_reason

HOST_LOST = "HostLost"  #: What ended, in place of an action, and why.
_MOST = 100  #: Of what has failed since.

log = Journal("kiln.upkeep")


def give_up_lost(database: Database, worker: str, grace_s: float, size_of: Sizes) -> list[str]:
    """Give up every host that is lost, as the process *worker* sees it; returns their names."""

    def work(tx: Transaction, name: str) -> list[str] | None:
        # It may have been seen since. Whoever comes under its name meanwhile waits for the lock.
        if not hosts.is_free(tx, name) or name not in workers.unseen_hosts(tx, worker, grace_s):
            return None
        return give_up(tx, name, f"has not been seen for {grace_s:.0f} s", workers.servers_time(tx, 0.0), size_of)

    with database.read() as tx:
        names = workers.unseen_hosts(tx, worker, grace_s)
    given_up = []
    for name in names:
        reach("lost_hosts.found")
        stopped = database.write(lambda tx, name=name: work(tx, name))  # type: ignore[misc]
        reach("lost_hosts.given_up")
        if stopped is not None:
            log.warning("host_given_up", host=name, stopped=stopped)
            given_up.append(name)
    return given_up


def give_up(tx: Transaction, name: str, why: str, now: float, size_of: Sizes) -> list[str]:
    """Have everything that is on the host be nowhere; returns the instances that are Stopped by that.

    What its process had begun is anybody's, and what that writes of it from now on is not heeded. What is to run
    elsewhere by that takes room there.
    """
    workers.take_away(tx, name)
    hosts.hosts.update(tx, {"worker": "", "lost_at": now}, name=name)
    # Before the machines: what an instance's lane holds is bound to nowhere with its machine.
    tasks.take_away(tx, host=name)
    return [one.id for one in instances.all(tx, host=name) if _give_up_machine(tx, one, why, now, size_of)]


def _give_up_machine(tx: Transaction, instance: Instance, why: str, now: float, size_of: Sizes) -> bool:
    status, host = InstanceStatus(instance.status), instance.host
    end_moot(tx, instance.id, now)
    under_way = [] if status == InstanceStatus.RUNNING else open_in(tx, instance.id)
    place(tx, instance.id, "")
    if status not in ON:
        return False
    back = f"and starts again by itself when {host} is back, if it has not run by then."
    if not under_way:
        instances.move(tx, status, InstanceStatus.STOPPED, {}, id=instance.id)
        after = f"It can be started elsewhere, {back}"
    # What is to be done in its lane, and ends in another status, is left to that: elsewhere there is no machine either.
    elif _is_to_run(status, under_way):
        for task in under_way:
            if task.action == reboot_instance.name:
                ask_for_room(tx, task, size_of(instance.instance_type))
        after = f"It is being started elsewhere. Where that fails it can be started once the reason is gone, {back}"
    else:
        return False
    told = f"Its host {host} {why}, and was given up. What its machine had not written to its disks is lost. {after}"
    put_behind(tx, instance.id, keep_reason(tx, instance, HOST_LOST, told, now, host=host))
    return not under_way


def _is_to_run(status: InstanceStatus, under_way: list[Task]) -> bool:
    """Whether an instance for which this is under way is to run in the end: it starts, or leaves its host by a stop."""
    is_leaving = any(task.action == MOVE and is_by_stop(task) for task in under_way)
    return status == InstanceStatus.STARTING or is_leaving


def start_lost(tx: Transaction, ports: Ports) -> list[str]:
    """Begin to start what is Stopped since this host was given up, and has not run since; returns the instances.

    It is done in the transaction by which the host is one of those that serve again, so once. Where each starts is for
    the hosts that have room.
    """
    lost = {one.resource for one in tasks.tasks.all(tx, action=HOST_LOST, host=ports.host)}
    started = []
    for instance in instances.all(tx, instances.c.id.in_(sorted(lost)), status=InstanceStatus.STOPPED):
        if _is_lost_still(tx, instance, ports.host) and starts_again(tx, ports, instance, ports.clock()):
            log.warning("started_again_with_its_host", instance=instance.id, host=ports.host)
            started.append(instance.id)
    return started


def _is_lost_still(tx: Transaction, instance: Instance, host: str) -> bool:
    """Whether nothing that was asked of the instance has succeeded since the host was given up."""
    unsettled = tasks.unsettled(tx, instance.account, instance.id, _MOST)
    return any((one.action, one.resource, one.host) == (HOST_LOST, instance.id, host) for one in unsettled)


def end_given_up(ports: Ports) -> list[str]:
    """End the machines of this host that are not its own any more, since it was given up; returns their instances.

    Nothing is done for any instance before that, nor does anybody know of it: a kill leaves all as it was.
    """
    ended = []
    # Those of its own run folders alone: another host's, on one machine with it, has disks of the same pool open.
    for instance in list(ports.machines.running()):
        with ports.database.read() as tx:
            row = instances.find(tx, id=instance)
        if row is not None and row.host == ports.host:
            continue
        reach("lost_hosts.before_end")
        ports.machines.stop(instance, force=True)
        reach("lost_hosts.ended")
        log.warning("machine_given_up_ended", instance=instance)
        ended.append(instance)
    return ended
