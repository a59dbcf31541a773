"""Stop a Running instance.

It is Stopping at once and Stopped when its machine is off. The guest is asked
to shut down, and its power is cut when it does not; with ForceStop at once.
"""

from __future__ import annotations

from typing import Annotated

from kiln.calls.call import Call, Job
from kiln.declare.operation import Operation
from kiln.declare.rules import Accepted, Declined, Doc, OneOf
from kiln.declare.shapes import shape
from kiln.declare.states import InstanceStatus
from kiln.ground.killpoints import reach
from kiln.operations.instances.parts import orders, power
from kiln.operations.instances.parts.orders import ForceFacts, Order
from kiln.operations.params import InstanceId, NothingMore, OwnRegionId
from kiln.operations.steps import variables
from kiln.store.database import Transaction
from kiln.store.instances import instances, place


@shape
class Input:
    region_id: OwnRegionId = None
    instance_id: InstanceId
    force_stop: Annotated[bool, Doc("Cut the power at once; what the guest has not written is lost.")] = False
    stopped_mode: Annotated[
        str, OneOf(("StopCharging", "KeepCharging")), Doc("Remembered and shown; nothing is billed.")
    ] = "KeepCharging"
    confirm_stop: Annotated[bool | None, Accepted("Retired."), Doc("Whether it is meant.")] = None
    hibernate: Annotated[
        bool | None,
        Declined("instances do not hibernate, and what is in their memory would be lost"),
        Doc("Whether to hibernate."),
    ] = None


def check(call: Call, p: Input) -> Order:
    return orders.check_stop(call, p.region_id, p.instance_id, force=p.force_stop, stopped_mode=p.stopped_mode)


def commit(call: Call, order: Order) -> NothingMore:
    orders.begin(call, order)
    return NothingMore()


def carry_out(job: Job[ForceFacts]) -> None:
    reach("stop_instance.begun")
    job.ports.machines.stop(job.task.resource, job.facts.force)
    left = job.ports.machines.variables(job.task.resource)
    reach("stop_instance.stopped")

    def record(tx: Transaction) -> None:
        variables.keep(tx, job.ports, job.task.resource, left)
        instances.move(tx, InstanceStatus.STOPPING, InstanceStatus.STOPPED, {}, id=job.task.resource)
        place(tx, job.task.resource, "")
        job.finish(tx)

    job.write(record)
    reach("stop_instance.recorded")


give_up = power.fall_back

stop_instance = Operation(
    input=Input,
    output=NothingMore,
    check=check,
    commit=commit,
    carry_out=carry_out,
    facts=ForceFacts,
    give_up=give_up,
    gives_back=True,
    leads_to=("Stopping", "Stopped"),
    errors=orders.ERRORS,
)
