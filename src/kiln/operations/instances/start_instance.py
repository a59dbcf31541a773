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
from kiln.declare.states import InstanceStatus
from kiln.operations.errors.instances import (
    IncorrectInstanceStatus,
    InstanceLockedForSecurity,
    InvalidInstanceIdNotFound,
    InvalidInstanceNotFoundSystemDisk,
)
from kiln.operations.instances.parts import power
from kiln.operations.params import InstanceId, NothingMore, OwnRegionId
from kiln.store.disks import disks
from kiln.store.instances import Instance, instances


@shape
class Input:
    region_id: OwnRegionId = None
    instance_id: InstanceId
    init_local_disk: Annotated[
        bool | None, Accepted("There are no local disks."), Doc("Whether to put local disks back.")
    ] = None


def check(call: Call, p: Input) -> Instance:
    instance = power.find_unlocked(call, p.region_id, p.instance_id)
    if instance.status != InstanceStatus.STOPPED:
        raise IncorrectInstanceStatus(instance_id=instance.id, status=instance.status)
    if disks.count(call.tx, instance=instance.id, type="system") == 0:
        raise InvalidInstanceNotFoundSystemDisk(instance_id=instance.id)
    return instance


def commit(call: Call, instance: Instance) -> NothingMore:
    instances.move(call.tx, InstanceStatus.STOPPED, InstanceStatus.STARTING, {}, id=instance.id)
    call.enqueue(instance.id, region=instance.region, lane=instance.id)
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
    errors=(
        InvalidInstanceIdNotFound,
        InstanceLockedForSecurity,
        IncorrectInstanceStatus,
        InvalidInstanceNotFoundSystemDisk,
    ),
)
