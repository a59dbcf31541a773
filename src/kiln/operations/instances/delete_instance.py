"""Release an instance.

It is Stopping at once, and no longer listed when its machine is gone. Disks
with DeleteWithInstance go with it; the others stay, detached, and a system disk
that stays is a data disk from then on, of whose snapshots no image is made.
Snapshots and images stay. A Running instance takes Force.
"""

from __future__ import annotations

from typing import Annotated

from kiln.calls.call import Call, Job
from kiln.declare.errors import ApiError
from kiln.declare.operation import Operation
from kiln.declare.rules import Accepted, Doc
from kiln.declare.shapes import shape
from kiln.declare.states import DiskStatus
from kiln.ground.killpoints import reach
from kiln.operations.instances.parts import power, release
from kiln.operations.instances.parts.orders import ForceFacts, Order
from kiln.operations.params import InstanceId, NothingMore, OwnRegionId
from kiln.operations.steps import deleting, heads, tombs
from kiln.store import interfaces, tags
from kiln.store.database import Transaction
from kiln.store.disks import Disk, disks
from kiln.store.firmware import firmware_variables
from kiln.store.instances import instances


@shape
class Input:
    region_id: OwnRegionId = None
    instance_id: InstanceId
    force: Annotated[bool, Doc("Release it though it is Running.")] = False
    force_stop: Annotated[
        bool, Doc("With Force: cut the power. With false, the guest is asked to shut down first.")
    ] = True
    terminate_subscription: Annotated[
        bool | None, Accepted("There are no subscriptions."), Doc("Whether an expired subscription is released.")
    ] = None


def check(call: Call, p: Input) -> Order:
    return release.check(call, p.region_id, p.instance_id, force=p.force, cut_power=p.force_stop)


def commit(call: Call, order: Order) -> NothingMore:
    release.begin(call, order)
    return NothingMore()


def carry_out(job: Job[ForceFacts]) -> None:
    instance_id, ports = job.task.resource, job.ports
    reach("delete_instance.begun")
    ports.machines.stop(instance_id, job.facts.force)
    reach("delete_instance.stopped")
    with ports.database.read() as tx:
        kept = [disk for disk in disks.all(tx, instance=instance_id) if not disk.delete_with_instance]
    for disk in kept:
        if disk.volume is not None:
            # The machine's user may not open it any more: it can be attached elsewhere from now on.
            ports.pool.take_back(disk.volume)
    reach("delete_instance.withdrawn")
    job.write(lambda tx: _remove(tx, job))
    reach("delete_instance.removed")
    ports.machines.forget(instance_id)
    reach("delete_instance.forgotten")


def give_up(job: Job[ForceFacts], error: ApiError) -> None:
    def keep(tx: Transaction) -> None:
        disks.move(tx, DiskStatus.DETACHING, DiskStatus.IN_USE, {}, instance=job.task.resource)

    job.write(keep)
    power.fall_back(job, error)


def _remove(tx: Transaction, job: Job[ForceFacts]) -> None:
    """Remove the instance, and let go of its disks or remove them too."""
    instance_id, now = job.task.resource, job.ports.clock()
    for disk in disks.all(tx, instance=instance_id):
        if disk.delete_with_instance:
            _release(tx, job, disk)
        else:
            _detach(tx, disk, now)
    # A system disk that was detached before can go back nowhere now, and is kept as one that was attached is.
    disks.update(tx, {"was_system": True, "type": "data"}, home=instance_id)
    tags.drop(tx, "instance", instance_id)
    interfaces.free(tx, instance_id)
    firmware_variables.delete(tx, instance=instance_id)
    instances.delete(tx, id=instance_id)


def _release(tx: Transaction, job: Job[ForceFacts], disk: Disk) -> None:
    tombs.keep_disk(tx, job.ports, disk)
    deleting.delete_automatic(tx, job.ports, disk)
    if disk.volume is not None:
        heads.doom(tx, [disk.volume])
    tags.drop(tx, "disk", disk.id)
    disks.delete(tx, id=disk.id)


def _detach(tx: Transaction, disk: Disk, now: float) -> None:
    changes = {
        "instance": None,
        "device": "",
        "type": "data",
        "was_system": disk.was_system or disk.type == "system",
        "detached_at": now,
    }
    disks.move(tx, DiskStatus.DETACHING, DiskStatus.AVAILABLE, changes, id=disk.id)


delete_instance = Operation(
    input=Input,
    output=NothingMore,
    check=check,
    commit=commit,
    carry_out=carry_out,
    facts=ForceFacts,
    give_up=give_up,
    gives_back=True,
    awaited=True,
    errors=release.ERRORS,
)
