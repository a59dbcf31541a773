"""Give an elastic IP address back that leads nowhere."""

from __future__ import annotations

from kiln.calls.call import Call
from kiln.declare.operation import Operation
from kiln.declare.products import ECS
from kiln.declare.shapes import shape
from kiln.declare.states import EipStatus
from kiln.operations.errors.networks import IncorrectEipStatus, InvalidAllocationIdNotFound
from kiln.operations.network_words import AllocationId
from kiln.operations.params import NothingMore, OwnRegionId
from kiln.store.eips import Eip, eips


@shape
class Input:
    region_id: OwnRegionId = None
    allocation_id: AllocationId


def check(call: Call, p: Input) -> Eip:
    eip = call.the(eips, p.allocation_id, p.region_id, InvalidAllocationIdNotFound)
    if eip.status != EipStatus.AVAILABLE:
        raise IncorrectEipStatus(allocation_id=eip.id, status=eip.status)
    return eip


def commit(call: Call, eip: Eip) -> NothingMore:
    eips.delete(call.tx, id=eip.id)
    return NothingMore()


release_eip_address = Operation(
    input=Input,
    output=NothingMore,
    check=check,
    commit=commit,
    gives_back=True,
    also_in=(ECS,),
    errors=(InvalidAllocationIdNotFound, IncorrectEipStatus),
)
