"""Restart a Running instance.

It is Starting at once and Running again when its guest has been restarted.
With ForceStop the guest is reset instead of asked.
"""

from __future__ import annotations

from typing import Annotated

from kiln.calls.call import Call, Job
from kiln.declare.facts import facts
from kiln.declare.operation import Operation
from kiln.declare.rules import Doc
from kiln.declare.shapes import shape
from kiln.declare.states import InstanceStatus
from kiln.ground.killpoints import reach
from kiln.ground.values import dataclass
from kiln.machines.errors import MachineMissing
from kiln.operations.errors.instances import (
    IncorrectInstanceStatus,
    InstanceLockedForSecurity,
    InvalidInstanceIdNotFound,
)
from kiln.operations.instances.parts import power
from kiln.operations.params import InstanceId, NothingMore, OwnRegionId
from kiln.store.instances import Instance, instances


@shape
class Input:
    region_id: OwnRegionId = None
    instance_id: InstanceId
    force_stop: Annotated[bool, Doc("Reset the guest; what it has not written is lost.")] = False


@dataclass(frozen=True, kw_only=True)
class Plan:
    instance: Instance
    force: bool


@facts()
class Facts:
    force: bool  #: Whether to cut the power at once.


def check(call: Call, p: Input) -> Plan:
    instance = power.find_unlocked(call, p.region_id, p.instance_id)
    if instance.status != InstanceStatus.RUNNING:
        raise IncorrectInstanceStatus(instance_id=instance.id, status=instance.status)
    return Plan(instance=instance, force=p.force_stop)


def commit(call: Call, plan: Plan) -> NothingMore:
    instance = plan.instance
    instances.move(call.tx, InstanceStatus.RUNNING, InstanceStatus.STARTING, {}, id=instance.id)
    call.enqueue(instance.id, Facts(force=plan.force), region=instance.region, lane=instance.id)
    return NothingMore()


def carry_out(job: Job[Facts]) -> None:
    reach("reboot_instance.begun")
    if not job.ports.machines.is_running(job.task.resource):
        power.start(job)
        return
    try:
        job.ports.machines.reboot(job.task.resource, job.facts.force)
    except MachineMissing:
        # It powered off by itself this moment; the caller wants it up.
        power.start(job)
        return
    reach("reboot_instance.rebooted")
    power.record_running(job)


give_up = power.fall_back

reboot_instance = Operation(
    input=Input,
    output=NothingMore,
    check=check,
    commit=commit,
    carry_out=carry_out,
    facts=Facts,
    give_up=give_up,
    leads_to=("Starting", "Running"),
    errors=(InvalidInstanceIdNotFound, InstanceLockedForSecurity, IncorrectInstanceStatus),
)
