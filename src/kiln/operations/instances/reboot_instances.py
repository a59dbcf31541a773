"""Restart up to 100 Running instances.

Each is Starting at once and Running again when its guest has been restarted,
as with RebootInstance.
"""

from __future__ import annotations

from typing import Annotated

from kiln.calls.call import Call
from kiln.declare.operation import Operation
from kiln.declare.rules import Doc
from kiln.declare.shapes import shape
from kiln.operations.errors.requests import DryRunSuccess
from kiln.operations.instances.parts import batch, orders
from kiln.operations.instances.parts.batch import BatchOptimization, InstanceIds, Output, Verdict
from kiln.operations.params import RegionId


@shape
class Input:
    region_id: RegionId
    instance_id: InstanceIds
    force_reboot: Annotated[bool, Doc("Reset the guests; what they have not written is lost.")] = False
    batch_optimization: BatchOptimization = "AllTogether"


def check(call: Call, p: Input) -> list[Verdict]:
    return batch.judge(
        call,
        p.region_id,
        p.instance_id,
        p.batch_optimization,
        lambda one: orders.check_reboot(call, p.region_id, one, force=p.force_reboot),
    )


def commit(call: Call, verdicts: list[Verdict]) -> Output:
    return batch.begin(call, verdicts)


reboot_instances = Operation(
    input=Input,
    output=Output,
    check=check,
    commit=commit,
    dry_run=DryRunSuccess,
    leads_to=("Starting", "Running"),
    errors=orders.ERRORS,
)
