"""Take an instance, or a network interface, out of a security group. It stays in one at least.

Guests that run are reached accordingly at once.
"""

from __future__ import annotations

from typing import Annotated

from kiln.calls.call import Call
from kiln.declare.errors import ApiError
from kiln.declare.operation import Operation
from kiln.declare.rules import Doc, Example
from kiln.declare.shapes import shape
from kiln.operations.params import InstanceId, NothingMore, OwnRegionId, SecurityGroupId
from kiln.operations.security_groups.parts import joining
from kiln.operations.security_groups.parts.joining import Plan
from kiln.store.interfaces import leave


class InstanceNotInSecurityGroup(ApiError):
    """It is not in the group."""

    code = "InstanceNotInSecurityGroup"
    status = 403
    message = "The instance not in the group."


class InstanceLastSecurityGroup(ApiError):
    """It is in no other group."""

    code = "InstanceLastSecurityGroup"
    status = 403
    message = "The specified security group is the last security group for the instance."


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
    if plan.group.id not in plan.present:
        raise InstanceNotInSecurityGroup
    if len(plan.present) == 1:
        raise InstanceLastSecurityGroup
    return plan


def commit(call: Call, plan: Plan) -> NothingMore:
    leave(call.tx, plan.card, plan.group.id)
    return NothingMore()


leave_security_group = Operation(
    input=Input,
    output=NothingMore,
    check=check,
    commit=commit,
    errors=(*joining.ERRORS, InstanceNotInSecurityGroup, InstanceLastSecurityGroup),
)
