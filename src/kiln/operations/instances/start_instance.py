"""Start a Stopped instance.

It is Starting at once and Running when its machine runs. One that does not
start is Stopped again; the task and the log have QEMU's own words.
"""

from __future__ import annotations

from typing import Annotated

from kiln.calls.call import Call, Job
from kiln.declare.facts import NoFacts
from kiln.declare.operation import Operation
from kiln.declare.rules import Accepted, Doc
from kiln.declare.shapes import shape
from kiln.operations.instances.parts import orders, power
from kiln.operations.instances.parts.orders import Order
from kiln.operations.params import InstanceId, NothingMore, OwnRegionId


@shape
class Input:
    region_id: OwnRegionId = None
    instance_id: InstanceId
    init_local_disk: Annotated[
        bool | None, Accepted("There are no local disks."), Doc("Whether to put local disks back.")
    ] = None


def check(call: Call, p: Input) -> Order:
    return orders.check_start(call, p.region_id, p.instance_id)


def commit(call: Call, order: Order) -> NothingMore:
    orders.begin(call, order)
    return NothingMore()


def carry_out(job: Job[NoFacts]) -> None:
    power.start(job)


give_up = power.give_up_start

start_instance = Operation(
    input=Input,
    output=NothingMore,
    check=check,
    commit=commit,
    carry_out=carry_out,
    give_up=give_up,
    leads_to=("Starting", "Running"),
    errors=orders.START_ERRORS,
)
