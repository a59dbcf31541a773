"""Have an elastic IP address lead to an instance, which is Running or Stopped and has no other public address.

It is InUse at once. Which of the instance's ports are open at it, its security
groups say.
"""

from __future__ import annotations

from typing import Annotated

from kiln.calls.call import Call
from kiln.declare.errors import ApiError
from kiln.declare.operation import Operation
from kiln.declare.products import ECS
from kiln.declare.rules import Declined, Doc
from kiln.declare.shapes import shape
from kiln.declare.states import EipStatus, InstanceStatus
from kiln.ground.values import dataclass
from kiln.operations.errors.instances import InvalidInstanceIdNotFound
from kiln.operations.errors.networks import IncorrectEipStatus, InvalidAllocationIdNotFound
from kiln.operations.errors.requests import IDEMPOTENT
from kiln.operations.network_words import AllocationId, EipInstanceType
from kiln.operations.params import InstanceId, NothingMore, OwnRegionId
from kiln.store.eips import Eip, eips
from kiln.store.instances import instances
from kiln.store.interfaces import NetworkInterface, primary_of
from kiln.store.vpcs import mark_changed


class InvalidParameterMismatchOfEip(ApiError):
    """The address is of another region than the instance."""

    code = "InvalidParameter.Mismatch"
    message = "Specified elastic IP address and ECS instance are not in the same region."


class IncorrectInstanceStatusOfEip(ApiError):
    """The instance is neither Running nor Stopped."""

    code = "IncorrectInstanceStatus"
    message = "Current instance status does not support this operation."


class InvalidAssociationDuplicated(ApiError):
    """The instance has a public address already, an elastic one or its own."""

    code = "InvalidAssociation.Duplicated"
    message = "Specified instance already is associated."
    hint = "`kiln instance show INSTANCE` tells its addresses."


@shape
class Input:
    region_id: OwnRegionId = None
    allocation_id: AllocationId
    instance_id: InstanceId
    instance_type: EipInstanceType = "EcsInstance"
    instance_region_id: Annotated[str | None, Doc("The region of the instance, which is that of the address.")] = None
    private_ip_address: Annotated[
        str | None, Declined("an instance has one private address"), Doc("Which of the private addresses.")
    ] = None
    mode: Annotated[str | None, Declined("there is one way, by NAT"), Doc("How it leads there.")] = None


@dataclass(frozen=True, kw_only=True)
class Plan:
    eip: Eip
    card: NetworkInterface


def check(call: Call, p: Input) -> Plan:
    eip = call.the(eips, p.allocation_id, p.region_id, InvalidAllocationIdNotFound)
    instance = call.the(instances, p.instance_id, None, InvalidInstanceIdNotFound)
    if instance.region != eip.region or p.instance_region_id not in (None, instance.region):
        raise InvalidParameterMismatchOfEip(allocation_id=eip.id, instance_id=instance.id)
    if eip.status != EipStatus.AVAILABLE:
        raise IncorrectEipStatus(allocation_id=eip.id, status=eip.status)
    card = primary_of(call.tx, instance.id)
    if instance.status not in (InstanceStatus.RUNNING, InstanceStatus.STOPPED) or card is None or not card.vpc:
        raise IncorrectInstanceStatusOfEip(instance_id=instance.id, status=instance.status)
    if instance.public_ip or eips.count(call.tx, instance=instance.id):
        raise InvalidAssociationDuplicated(instance_id=instance.id)
    return Plan(eip=eip, card=card)


def commit(call: Call, plan: Plan) -> NothingMore:
    card = plan.card
    changes = {"interface": card.id, "instance": card.instance}
    eips.move(call.tx, EipStatus.AVAILABLE, EipStatus.IN_USE, changes, id=plan.eip.id)
    mark_changed(call.tx, card.vpc)
    return NothingMore()


associate_eip_address = Operation(
    input=Input,
    output=NothingMore,
    check=check,
    commit=commit,
    idempotent=IDEMPOTENT,
    also_in=(ECS,),
    errors=(
        InvalidAllocationIdNotFound,
        InvalidInstanceIdNotFound,
        InvalidParameterMismatchOfEip,
        IncorrectEipStatus,
        IncorrectInstanceStatusOfEip,
        InvalidAssociationDuplicated,
    ),
)
