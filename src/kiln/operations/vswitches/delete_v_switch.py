"""Delete a VSwitch to which no instance is joined."""

from __future__ import annotations

from kiln.calls.call import Call
from kiln.declare.errors import ApiError
from kiln.declare.operation import Operation
from kiln.declare.products import ECS
from kiln.declare.shapes import shape
from kiln.operations.errors.networks import InvalidVSwitchIdNotFound
from kiln.operations.network_words import VSwitchId
from kiln.operations.params import NothingMore, OwnRegionId
from kiln.store.interfaces import interfaces
from kiln.store.vpcs import mark_changed
from kiln.store.vswitches import VSwitch, vswitches


class DependencyViolationOfVSwitch(ApiError):
    """An instance is joined to the VSwitch."""

    code = "DependencyViolation"
    message = "Specified object has dependent resources."
    hint = "`kiln instance list --vswitch VSWITCH` tells them; they have to be deleted first."


@shape
class Input:
    region_id: OwnRegionId = None
    v_switch_id: VSwitchId


def check(call: Call, p: Input) -> VSwitch:
    row = call.the(vswitches, p.v_switch_id, p.region_id, InvalidVSwitchIdNotFound)
    if interfaces.count(call.tx, vswitch=row.id):
        raise DependencyViolationOfVSwitch(v_switch_id=row.id)
    return row


def commit(call: Call, row: VSwitch) -> NothingMore:
    vswitches.delete(call.tx, id=row.id)
    mark_changed(call.tx, row.vpc)
    return NothingMore()


delete_v_switch = Operation(
    input=Input,
    output=NothingMore,
    check=check,
    commit=commit,
    gives_back=True,
    also_in=(ECS,),
    errors=(InvalidVSwitchIdNotFound, DependencyViolationOfVSwitch),
)
