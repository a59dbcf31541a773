"""Stop what runs in guests, with all that it has started.

What has not begun is Cancelled. What runs is Stopping until it has ended in the
guest, and then Terminated; one that ended by itself first shows how. Without
InstanceId it is stopped on all instances. What has ended stays as it is.
"""

from __future__ import annotations

from typing import Annotated

from kiln.calls.call import Call
from kiln.declare.operation import Operation
from kiln.declare.rules import Count, Doc, Unordered
from kiln.declare.shapes import shape
from kiln.declare.states import InvocationStatus
from kiln.ground.values import dataclass
from kiln.operations.assistant.parts.errors import InvalidInvokeIdNotFound
from kiln.operations.assistant.parts.words import MOST_INSTANCES, InvokeId
from kiln.operations.errors.instances import InstanceIdsExceedLimit, InvalidInstanceIdNotFound
from kiln.operations.params import InstanceId, NothingMore, RegionId
from kiln.store import invocations
from kiln.store.invocations import COMMAND, InvocationResult, results
from kiln.store.tasks import tasks


@shape
class Input:
    region_id: RegionId
    invoke_id: InvokeId
    instance_id: Annotated[
        tuple[InstanceId, ...] | None,
        Unordered(),
        Count(MOST_INSTANCES, InstanceIdsExceedLimit),
        Doc("On which instances; on all when it is not given."),
    ] = None


@dataclass(frozen=True, kw_only=True)
class Plan:
    rows: list[InvocationResult]


def check(call: Call, p: Input) -> Plan:
    invocation = call.the(invocations.invocations, p.invoke_id, p.region_id, InvalidInvokeIdNotFound)
    if invocation.kind != COMMAND:
        raise InvalidInvokeIdNotFound(id=p.invoke_id)
    rows = {row.instance: row for row in results.all(call.tx, invocation=invocation.id)}
    # An empty list names none: whoever computed it does not want all to be stopped.
    named = rows if p.instance_id is None else dict.fromkeys(p.instance_id)
    for instance in named:
        if instance not in rows:
            raise InvalidInstanceIdNotFound(instance_id=instance)
    return Plan(rows=[rows[instance] for instance in named])


def commit(call: Call, plan: Plan) -> NothingMore:
    asked = {"stopped_at": call.now, "updated_at": call.now}
    for row in plan.rows:
        for before in (InvocationStatus.PENDING, InvocationStatus.RUNNING):
            if invocations.move(call.tx, row, before, InvocationStatus.STOPPING, asked):
                # One that waits, for the guest or for the next look at it, waits no longer.
                tasks.update(call.tx, {"cancel_requested": True, "not_before": 0.0}, id=row.task)
    return NothingMore()


stop_invocation = Operation(
    input=Input,
    output=NothingMore,
    check=check,
    commit=commit,
    gives_back=True,
    errors=(InvalidInvokeIdNotFound, InvalidInstanceIdNotFound),
)
