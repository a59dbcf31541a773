"""Tell all that is known of one VSwitch."""

from __future__ import annotations

from kiln.calls.call import Call
from kiln.declare.errors import DryRunOperation
from kiln.declare.operation import Operation
from kiln.declare.shapes import shape
from kiln.operations.errors.networks import InvalidVSwitchIdNotFound
from kiln.operations.network_words import VSwitchId
from kiln.operations.params import OwnRegionId
from kiln.operations.vswitches.parts.portrait import VSwitchOutput, draw
from kiln.store.vswitches import vswitches


@shape
class Input:
    region_id: OwnRegionId = None
    v_switch_id: VSwitchId


@shape
class Output(VSwitchOutput):
    """A VSwitch, at the answer's top level."""


def check(call: Call, p: Input) -> Output:
    (drawn,) = draw(call.tx, [call.the(vswitches, p.v_switch_id, p.region_id, InvalidVSwitchIdNotFound)])
    return Output(**vars(drawn))


describe_v_switch_attributes = Operation(
    input=Input, output=Output, check=check, dry_run=DryRunOperation, errors=(InvalidVSwitchIdNotFound,)
)
