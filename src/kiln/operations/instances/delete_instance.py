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
from kiln.declare.facts import facts
from kiln.declare.operation import Operation
from kiln.declare.rules import Accepted, Doc
from kiln.declare.shapes import shape
from kiln.declare.states import DiskStatus, InstanceStatus
from kiln.ground.killpoints import reach
from kiln.ground.values import dataclass
from kiln.operations.errors.instances import (
    IncorrectInstanceStatus,
    InstanceLockedForSecurity,
    InvalidInstanceIdNotFound,
)
from kiln.operations.instances.parts import power
from kiln.operations.params import InstanceId, NothingMore, OwnRegionId
from kiln.operations.steps import heads, tombs
from kiln.store import tags
from kiln.store.database import Transaction
from kiln.store.disks import Disk, disks
from kiln.store.instances import Instance, instances


class IncorrectInstanceStatusOfDelete(IncorrectInstanceStatus):
    """The instance runs and Force was not given, or it, or one of its disks, is on its way to another state."""

    hint = (
        "Stop it first: `kiln instance stop INSTANCE`. Or delete it though it runs: `kiln instance delete INSTANCE "
        "--force` (Force=true)."
    )


class IncorrectInstanceStatusInitializing(ApiError):
    """The instance is still being made or started."""

    code = "IncorrectInstanceStatus.Initializing"
    status = 403
    message = "The specified instance status does not support this operation."


class InvalidOperationDeletionProtection(ApiError):
    """The instance is protected."""

    code = "InvalidOperation.DeletionProtection"
    status = 403
    message = "The operation is not allowed due to deletion protection."
    hint = "ModifyInstanceAttribute with DeletionProtection=false lifts it."


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


@dataclass(frozen=True, kw_only=True)
class Plan:
    instance: Instance
    cut_power: bool


@facts()
class Facts:
    force: bool  #: Whether to cut the power at once.


def check(call: Call, p: Input) -> Plan:
    instance = power.find_unlocked(call, p.region_id, p.instance_id)
    if instance.deletion_protection:
        raise InvalidOperationDeletionProtection(instance_id=instance.id)
    if instance.status in (InstanceStatus.PENDING, InstanceStatus.STARTING):
        raise IncorrectInstanceStatusInitializing(instance_id=instance.id, status=instance.status)
    allowed = (InstanceStatus.STOPPED, InstanceStatus.RUNNING) if p.force else (InstanceStatus.STOPPED,)
    if instance.status not in allowed:
        raise IncorrectInstanceStatusOfDelete(instance_id=instance.id, status=instance.status)
    # What is under way with a disk has to end first, so that nothing is begun with it afterwards.
    if disks.count(call.tx, disks.c.status != DiskStatus.IN_USE, instance=instance.id) > 0:
        raise IncorrectInstanceStatusOfDelete(instance_id=instance.id, status=instance.status)
    return Plan(instance=instance, cut_power=p.force_stop)


def commit(call: Call, plan: Plan) -> NothingMore:
    instance = plan.instance
    before = InstanceStatus(instance.status)
    instances.move(call.tx, before, InstanceStatus.STOPPING, {}, id=instance.id)
    disks.move(call.tx, DiskStatus.IN_USE, DiskStatus.DETACHING, {}, instance=instance.id)
    call.enqueue(instance.id, Facts(force=plan.cut_power), region=instance.region, lane=instance.id)
    return NothingMore()


def carry_out(job: Job[Facts]) -> None:
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


def give_up(job: Job[Facts], error: ApiError) -> None:
    def keep(tx: Transaction) -> None:
        disks.move(tx, DiskStatus.DETACHING, DiskStatus.IN_USE, {}, instance=job.task.resource)

    job.write(keep)
    power.fall_back(job, error)


def _remove(tx: Transaction, job: Job[Facts]) -> None:
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
    instances.delete(tx, id=instance_id)


def _release(tx: Transaction, job: Job[Facts], disk: Disk) -> None:
    tombs.keep_disk(tx, job.ports, disk)
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
    facts=Facts,
    give_up=give_up,
    gives_back=True,
    errors=(
        InvalidInstanceIdNotFound,
        InstanceLockedForSecurity,
        InvalidOperationDeletionProtection,
        IncorrectInstanceStatusInitializing,
        IncorrectInstanceStatusOfDelete,
    ),
)
