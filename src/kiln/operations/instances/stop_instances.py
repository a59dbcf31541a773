"""Stop up to 100 Running instances.

Each is Stopping at once and Stopped when its machine is off, as with
StopInstance.
"""

from __future__ import annotations

from typing import Annotated

from kiln.calls.call import Call
from kiln.declare.operation import Operation
from kiln.declare.rules import Doc, OneOf
from kiln.declare.shapes import shape
from kiln.operations.errors.requests import DryRunSuccess
from kiln.operations.instances.parts import batch, orders
from kiln.operations.instances.parts.batch import BatchOptimization, InstanceIds, Output, Verdict
from kiln.operations.params import RegionId


@shape
class Input:
    region_id: RegionId
    instance_id: InstanceIds
    force_stop: Annotated[bool, Doc("Cut the power at once; what the guests have not written is lost.")] = False
    stopped_mode: Annotated[
        str, OneOf(("StopCharging", "KeepCharging")), Doc("Remembered and shown; nothing is billed.")
    ] = "KeepCharging"
    batch_optimization: BatchOptimization = "AllTogether"


def check(call: Call, p: Input) -> list[Verdict]:
    return batch.judge(
        call,
        p.region_id,
        p.instance_id,
        p.batch_optimization,
        lambda one: orders.check_stop(call, p.region_id, one, force=p.force_stop, stopped_mode=p.stopped_mode),
    )


def commit(call: Call, verdicts: list[Verdict]) -> Output:
    return batch.begin(call, verdicts)


stop_instances = Operation(
    input=Input,
    output=Output,
    check=check,
    commit=commit,
    dry_run=DryRunSuccess,
    gives_back=True,
    leads_to=("Stopping", "Stopped"),
    errors=orders.ERRORS,
)
