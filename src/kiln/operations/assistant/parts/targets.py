"""The instances on which something is to be done, and the rows that say so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from kiln.calls.call import Call
from kiln.declare.ids import new_id
from kiln.declare.states import InstanceStatus, InvocationStatus
from kiln.operations.assistant.parts import errand, errors
from kiln.operations.errors.instances import InstanceIdsExceedLimit, MissingParamInstanceId
from kiln.operations.filters import TagFilter, by_tags
from kiln.store import invocations, tags
from kiln.store.instances import Instance, instances
from kiln.store.invocations import Invocation, InvocationResult
from kiln.store.lanes import errand_lane

TARGET_ERRORS = (
    MissingParamInstanceId,
    InstanceIdsExceedLimit,
    errors.InvalidInstanceNotFound,
    errors.InvalidInstanceNotMatch,
)


def find_targets(
    call: Call, region: str, named: Sequence[str], tagged: Sequence[TagFilter] = (), *, most: int
) -> list[Instance]:
    """The Running instances that are meant, each once. Raises ``TARGET_ERRORS``, and those of ResourceTag."""
    if named and tagged:
        raise errors.InvalidResourceTagConflict
    if tagged:
        found = instances.all(call.tx, *by_tags("instance", instances, tagged), **call.own(region))
        if not found:
            raise errors.InvalidResourceTagInstanceNotFound
    else:
        ids = list(dict.fromkeys(named))
        if not ids:
            raise MissingParamInstanceId
        if len(ids) > most:
            raise InstanceIdsExceedLimit
        found = [call.the(instances, one, region, errors.InvalidInstanceNotFound) for one in ids]
    if len(found) > most:
        raise InstanceIdsExceedLimit
    for one in found:
        if one.status != InstanceStatus.RUNNING or one.system.os_type == "windows":
            raise errors.InvalidInstanceNotMatch(instance_id=one.id, status=one.status)
    return found


def record(call: Call, invocation: Invocation, targets: Sequence[Instance], pairs: dict[str, str]) -> None:
    """Record what is to be done on these instances, with a task for each."""
    rows = [_result(invocation, target, new_id("task")) for target in targets]
    invocations.add(call.tx, invocation, rows)
    tags.put(call.tx, call.account, "invocation", invocation.id, pairs)
    for row in rows:
        call.enqueue(
            invocation.id,
            errand.ErrandFacts(invocation=invocation.id, instance=row.instance),
            region=invocation.region,
            lane=errand_lane(call.tx, row.instance),
            task_id=row.task,
        )


def _result(invocation: Invocation, target: Instance, task: str) -> InvocationResult:
    return InvocationResult(
        invocation=invocation.id,
        instance=target.id,
        account=invocation.account,
        region=invocation.region,
        kind=invocation.kind,
        command=invocation.command,
        task=task,
        status=InvocationStatus.PENDING,
        exit_code=None,
        output="",
        dropped=0,
        error_code="",
        error_info="",
        created_at=invocation.created_at,
        updated_at=invocation.created_at,
        started_at=None,
        finished_at=None,
        stopped_at=None,
    )


def new_invocation(call: Call, region: str, kind: str, **more: Any) -> Invocation:
    """What is to be done, as ``record`` takes it; *more* are the fields that are not empty."""
    empty = Invocation(
        id=new_id("task"),
        account=call.account,
        region=region,
        kind=kind,
        status=InvocationStatus.PENDING,
        name="",
        description="",
        content="",
        timeout_s=0,
        resource_group="",
        created_at=call.now,
        command="",
        type="",
        parameters="",
        enable_parameter=False,
        working_dir="",
        username="",
        target_dir="",
        content_type="",
        file_owner="",
        file_group="",
        file_mode="",
        overwrite=False,
    )
    return replace(empty, **more)
