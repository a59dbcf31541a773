"""Have an elastic IP address lead nowhere any more. It stays the account's, and is Available at once."""

from __future__ import annotations

from typing import Annotated

from kiln.calls.call import Call
from kiln.declare.errors import ApiError
from kiln.declare.operation import Operation
from kiln.declare.products import ECS
from kiln.declare.rules import Accepted, Declined, Doc
from kiln.declare.shapes import shape
from kiln.declare.states import EipStatus
from kiln.operations.errors.networks import IncorrectEipStatus, InvalidAllocationIdNotFound
from kiln.operations.errors.requests import IDEMPOTENT
from kiln.operations.network_words import AllocationId, EipInstanceType
from kiln.operations.params import InstanceId, NothingMore, OwnRegionId
from kiln.store.eips import Eip, eips, let_go
from kiln.store.interfaces import interfaces
from kiln.store.vpcs import mark_changed


class InvalidInstanceIdNotFoundOfEip(ApiError):
    """The address leads to another instance than the one that was named."""

    code = "InvalidInstanceId.NotFound"
    message = "Specified instance does not exist."


@shape
class Input:
    region_id: OwnRegionId = None
    allocation_id: AllocationId
    instance_id: Annotated[InstanceId | None, Doc("The instance that it leads to; not needed.")] = None
    instance_type: EipInstanceType = "EcsInstance"
    private_ip_address: Annotated[
        str | None, Declined("an instance has one private address"), Doc("Which of the private addresses.")
    ] = None
    force: Annotated[bool | None, Accepted("There are no NAT gateways."), Doc("Of a NAT gateway.")] = None


def check(call: Call, p: Input) -> Eip:
    eip = call.the(eips, p.allocation_id, p.region_id, InvalidAllocationIdNotFound)
    if eip.status != EipStatus.IN_USE:
        raise IncorrectEipStatus(allocation_id=eip.id, status=eip.status)
    if p.instance_id not in (None, eip.instance):
        raise InvalidInstanceIdNotFoundOfEip(instance_id=p.instance_id)
    return eip


def commit(call: Call, eip: Eip) -> NothingMore:
    card = interfaces.find(call.tx, id=eip.interface)
    let_go(call.tx, eip.interface)
    if card is not None:
        mark_changed(call.tx, card.vpc)
    return NothingMore()


unassociate_eip_address = Operation(
    input=Input,
    output=NothingMore,
    check=check,
    commit=commit,
    idempotent=IDEMPOTENT,
    also_in=(ECS,),
    errors=(InvalidAllocationIdNotFound, IncorrectEipStatus, InvalidInstanceIdNotFoundOfEip),
)
