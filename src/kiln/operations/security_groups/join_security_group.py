"""Put an instance, or a network interface, into a security group of its VPC, beside those that it is in.

Guests that run are reached accordingly at once.
"""

from __future__ import annotations

from typing import Annotated

from kiln.calls.call import Call
from kiln.declare.errors import ApiError
from kiln.declare.operation import Operation
from kiln.declare.rules import Doc, Example
from kiln.declare.shapes import shape
from kiln.networks.values import MOST_GROUPS
from kiln.operations.params import InstanceId, NothingMore, OwnRegionId, SecurityGroupId
from kiln.operations.security_groups.parts import joining
from kiln.operations.security_groups.parts.joining import Plan
from kiln.store.interfaces import join


class InvalidInstanceIdAlreadyExists(ApiError):
    """It is in the group already."""

    code = "InvalidInstanceId.AlreadyExists"
    status = 403
    message = "The specified instance already exists in the specified security group."


class InstanceSecurityGroupLimitExceeded(ApiError):
    """It is in as many groups as it may be in."""

    code = "InstanceSecurityGroupLimitExceeded"
    message = "Exceeding the allowed amount of security groups that an instance can be in."


@shape
class Input:
    region_id: OwnRegionId = None
    security_group_id: SecurityGroupId
    instance_id: Annotated[InstanceId | None, Doc("The instance; or NetworkInterfaceId.")] = None
    network_interface_id: Annotated[
        str | None, Example("eni-bp13kd656hxambfe2k8q"), Doc("The interface; or InstanceId.")
    ] = None


def check(call: Call, p: Input) -> Plan:
    plan = joining.find(call, p)
    if plan.group.id in plan.present:
        raise InvalidInstanceIdAlreadyExists
    if len(plan.present) >= MOST_GROUPS:
        raise InstanceSecurityGroupLimitExceeded
    return plan


def commit(call: Call, plan: Plan) -> NothingMore:
    join(call.tx, plan.card, [plan.group.id])
    return NothingMore()


join_security_group = Operation(
    input=Input,
    output=NothingMore,
    check=check,
    commit=commit,
    errors=(*joining.ERRORS, InvalidInstanceIdAlreadyExists, InstanceSecurityGroupLimitExceeded),
)
