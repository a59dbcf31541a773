"""Start up to 100 Stopped instances.

Each is Starting at once and Running when its machine runs, as with
StartInstance.
"""

from __future__ import annotations

from kiln.calls.call import Call
from kiln.declare.operation import Operation
from kiln.declare.shapes import shape
from kiln.operations.errors.requests import DryRunSuccess
from kiln.operations.instances.parts import batch, orders
from kiln.operations.instances.parts.batch import BatchOptimization, InstanceIds, Output, Verdict
from kiln.operations.params import RegionId


@shape
class Input:
    region_id: RegionId
    instance_id: InstanceIds
    batch_optimization: BatchOptimization = "AllTogether"


def check(call: Call, p: Input) -> list[Verdict]:
    return batch.judge(
        call,
        p.region_id,
        p.instance_id,
        p.batch_optimization,
        lambda one: orders.check_start(call, p.region_id, one),
    )


def commit(call: Call, verdicts: list[Verdict]) -> Output:
    return batch.begin(call, verdicts)


start_instances = Operation(
    input=Input,
    output=Output,
    check=check,
    commit=commit,
    dry_run=DryRunSuccess,
    leads_to=("Starting", "Running"),
    errors=orders.START_ERRORS,
)
