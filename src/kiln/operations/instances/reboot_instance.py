"""Restart a Running instance.

It is Starting at once and Running again when its guest has been restarted.
With ForceStop the guest is reset instead of asked.
"""

from __future__ import annotations

from typing import Annotated

from kiln.calls.call import Call, Job
from kiln.declare.operation import Operation
from kiln.declare.rules import Doc
from kiln.declare.shapes import shape
from kiln.ground.killpoints import reach
from kiln.machines.errors import MachineMissing
from kiln.operations.instances.parts import orders, power
from kiln.operations.instances.parts.orders import ForceFacts, Order
from kiln.operations.params import InstanceId, NothingMore, OwnRegionId


@shape
class Input:
    region_id: OwnRegionId = None
    instance_id: InstanceId
    force_stop: Annotated[bool, Doc("Reset the guest; what it has not written is lost.")] = False


def check(call: Call, p: Input) -> Order:
    return orders.check_reboot(call, p.region_id, p.instance_id, force=p.force_stop)


def commit(call: Call, order: Order) -> NothingMore:
    orders.begin(call, order)
    return NothingMore()


def carry_out(job: Job[ForceFacts]) -> None:
    reach("reboot_instance.begun")
    was_running = job.ports.machines.is_running(job.task.resource)
    # One that runs may stand still before its guest has begun: this task was starting it when Kiln was killed.
    if not power.bring_up(job):
        return
    if not was_running:
        power.record_running(job)
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
    facts=ForceFacts,
    give_up=give_up,
    leads_to=("Starting", "Running"),
    errors=orders.ERRORS,
)
