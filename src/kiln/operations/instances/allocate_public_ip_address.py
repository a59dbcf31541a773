"""Give an instance a public address of its own, at which this host reaches the ports that its groups open.

The address goes when the instance goes. The instance is Running or Stopped, and
has no public address, elastic or its own.
"""

from __future__ import annotations

from typing import Annotated

from kiln.calls.call import Call
from kiln.declare.errors import ApiError
from kiln.declare.operation import Operation
from kiln.declare.rules import Accepted, Declined, Doc
from kiln.declare.shapes import shape
from kiln.declare.states import InstanceStatus
from kiln.ground.values import dataclass
from kiln.operations.errors.instances import (
    IncorrectInstanceStatus,
    InstanceLockedForSecurity,
    InvalidInstanceIdNotFound,
)
from kiln.operations.instances.parts import power
from kiln.operations.params import InstanceId, OwnRegionId
from kiln.store.addresses import NoAddressLeft, free_public
from kiln.store.eips import eips
from kiln.store.instances import give_public_ip


class AllocatedAlready(ApiError):
    """The instance has a public address of its own."""

    code = "AllocatedAlready"
    status = 403
    message = "There is an IpAddress allocated already for the specified instance."


class OperationDeniedEip(ApiError):
    """An elastic address leads to the instance."""

    code = "OperationDenied"
    message = "Specified operation is denied as your instance is in VPC."
    hint = "An elastic address leads to it: `kiln eip detach EIP` takes that away."


class InsufficientPublicIp(ApiError):
    """Every public address of the deployment is somebody's."""

    code = "InsufficientPublicIp"
    message = "Ip address not found"


@shape
class Input:
    region_id: OwnRegionId = None
    instance_id: InstanceId
    ip_address: Annotated[
        str | None, Declined("addresses are given out as they are free"), Doc("The address that is wanted.")
    ] = None
    vlan_id: Annotated[str | None, Accepted("There are no VLANs."), Doc("The VLAN.")] = None


@shape
class Output:
    ip_address: Annotated[str, Doc("The address: one of this host's.")]


@dataclass(frozen=True, kw_only=True)
class Plan:
    instance: str
    address: str


def check(call: Call, p: Input) -> Plan:
    instance = power.find_unlocked(call, p.region_id, p.instance_id)
    if instance.status not in (InstanceStatus.RUNNING, InstanceStatus.STOPPED):
        raise IncorrectInstanceStatus(instance_id=instance.id, status=instance.status)
    if instance.public_ip:
        raise AllocatedAlready(instance_id=instance.id)
    if eips.count(call.tx, instance=instance.id):
        raise OperationDeniedEip(instance_id=instance.id)
    try:
        (address,) = free_public(call.tx, call.deployment.public_network, 1)
    except NoAddressLeft as e:
        raise InsufficientPublicIp(network=str(e)) from e
    return Plan(instance=instance.id, address=address)


def commit(call: Call, plan: Plan) -> Output:
    give_public_ip(call.tx, plan.instance, plan.address)
    return Output(ip_address=plan.address)


allocate_public_ip_address = Operation(
    input=Input,
    output=Output,
    check=check,
    commit=commit,
    errors=(
        InvalidInstanceIdNotFound,
        InstanceLockedForSecurity,
        IncorrectInstanceStatus,
        AllocatedAlready,
        OperationDeniedEip,
        InsufficientPublicIp,
    ),
)
