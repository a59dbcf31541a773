"""What JoinSecurityGroup and LeaveSecurityGroup share: the interface that is meant, and the group."""

from __future__ import annotations

from typing import Any

from kiln.calls.call import Call
from kiln.declare.errors import ApiError, MissingParameter
from kiln.declare.states import InstanceStatus
from kiln.ground.values import dataclass
from kiln.operations.errors.instances import (
    IncorrectInstanceStatus,
    InstanceLockedForSecurity,
    InvalidInstanceIdNotFound,
)
from kiln.operations.errors.networks import InvalidSecurityGroupIdNotFound
from kiln.operations.steps.locks import check_unlocked
from kiln.store.instances import instances
from kiln.store.interfaces import NetworkInterface, groups_of, interfaces, primary_of
from kiln.store.security_groups import SecurityGroup, security_groups


class InvalidParamEniIdAndInstanceIdConflict(ApiError):
    """Both an instance and an interface were named."""

    code = "InvalidParam.EniIdAndInstanceId.Conflict"
    status = 403
    message = "InstanceId and NetworkInterfaceId cannot be specified at the same time."


class InvalidEniIdNotFound(ApiError):
    """No network interface of that ID can be seen by this account."""

    code = "InvalidEniId.NotFound"
    status = 404
    message = "The specified NetworkInterfaceId does not exist."


class InvalidInstanceIdMismatch(ApiError):
    """The instance is in another VPC than the group."""

    code = "InvalidInstanceId.Mismatch"
    message = "Specified instance and security group are not in the same VPC."


ERRORS: tuple[type[ApiError], ...] = (
    MissingParameter,
    InvalidParamEniIdAndInstanceIdConflict,
    InvalidSecurityGroupIdNotFound,
    InvalidInstanceIdNotFound,
    InvalidEniIdNotFound,
    InstanceLockedForSecurity,
    IncorrectInstanceStatus,
    InvalidInstanceIdMismatch,
)


@dataclass(frozen=True, kw_only=True)
class Plan:
    card: NetworkInterface
    group: SecurityGroup
    present: list[str]  #: The groups that it is in.


def find(call: Call, p: Any) -> Plan:
    """What is meant. Raises what ERRORS lists."""
    if p.instance_id is not None and p.network_interface_id is not None:
        raise InvalidParamEniIdAndInstanceIdConflict
    group = call.the(security_groups, p.security_group_id, p.region_id, InvalidSecurityGroupIdNotFound)
    card = _card(call, p)
    if card is None or card.vpc != group.vpc:
        raise InvalidInstanceIdMismatch
    return Plan(card=card, group=group, present=groups_of(call.tx, [card.instance])[card.instance])


def _card(call: Call, p: Any) -> NetworkInterface | None:
    card = None
    if p.network_interface_id is not None:
        card = call.the(interfaces, p.network_interface_id, p.region_id, InvalidEniIdNotFound)
    named = p.instance_id if card is None else card.instance
    if named is None:
        raise MissingParameter(parameter="InstanceId")
    instance = call.the(instances, named, p.region_id, InvalidInstanceIdNotFound)
    check_unlocked(instance)
    if instance.status not in (InstanceStatus.RUNNING, InstanceStatus.STOPPED):
        raise IncorrectInstanceStatus(instance_id=instance.id, status=instance.status)
    return card or primary_of(call.tx, instance.id)
