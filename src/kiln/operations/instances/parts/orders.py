"""What a start, a stop and a restart check of an instance, and how each is begun: of one instance, or of several.

The task is of the action on one instance, whichever was called, so that each
kind of work is carried out, given up and taken up after a crash in one place.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, replace
from typing import Any

from kiln.calls.call import NO_FACTS, Call
from kiln.calls.sizes import size_in
from kiln.declare.errors import ApiError
from kiln.declare.facts import facts
from kiln.declare.states import InstanceStatus
from kiln.ground.values import dataclass
from kiln.operations.errors.instances import (
    IncorrectInstanceStatus,
    InstanceLockedForSecurity,
    InvalidInstanceIdNotFound,
    InvalidInstanceNotFoundSystemDisk,
)
from kiln.operations.instances.parts import power
from kiln.store.disks import disks
from kiln.store.hosts import NOTHING, Room
from kiln.store.instances import Instance, instances
from kiln.store.leaving import call_off

#: What a stop and a restart are refused with; a start also without a system disk.
ERRORS: tuple[type[ApiError], ...] = (InvalidInstanceIdNotFound, InstanceLockedForSecurity, IncorrectInstanceStatus)
START_ERRORS: tuple[type[ApiError], ...] = (*ERRORS, InvalidInstanceNotFoundSystemDisk)


@facts()
class ForceFacts:
    """What the task of a stop and of a restart remembers."""

    force: bool  #: Whether to cut the power at once.


@dataclass(frozen=True, kw_only=True)
class Order:
    """What an instance is told to do, checked and not yet begun."""

    action: str  #: Whose carry_out does it.
    instance: Instance
    at_once: InstanceStatus
    changes: Mapping[str, Any] = field(default_factory=dict)
    facts: object = NO_FACTS
    room: Room = NOTHING  #: What a host must have for it that has no machine of it yet.


def check_start(call: Call, region: str | None, instance_id: str) -> Order:
    """Raises START_ERRORS."""
    instance = _in_status(call, region, instance_id, InstanceStatus.STOPPED)
    if disks.count(call.tx, instance=instance.id, type="system") == 0:
        raise InvalidInstanceNotFoundSystemDisk(instance_id=instance.id)
    return Order(
        action="StartInstance",
        instance=instance,
        at_once=InstanceStatus.STARTING,
        room=size_in(call.deployment, instance.instance_type),
    )


def check_stop(call: Call, region: str | None, instance_id: str, *, force: bool, stopped_mode: str) -> Order:
    """Raises ERRORS."""
    return Order(
        action="StopInstance",
        instance=_in_status(call, region, instance_id, InstanceStatus.RUNNING),
        at_once=InstanceStatus.STOPPING,
        changes={"stopped_mode": stopped_mode},
        facts=ForceFacts(force=force),
    )


def check_reboot(call: Call, region: str | None, instance_id: str, *, force: bool) -> Order:
    """Raises ERRORS."""
    return Order(
        action="RebootInstance",
        instance=_in_status(call, region, instance_id, InstanceStatus.RUNNING),
        at_once=InstanceStatus.STARTING,
        facts=ForceFacts(force=force),
    )


def begin(call: Call, order: Order) -> None:
    """Record that the order is under way, and leave its task. Who is to be off is not sent to another host first."""
    instance = order.instance
    if order.at_once == InstanceStatus.STOPPING:
        call_off(call.tx, instance.id)
    instances.move(call.tx, InstanceStatus(instance.status), order.at_once, dict(order.changes), id=instance.id)
    one = replace(call, action=order.action)
    one.enqueue(instance.id, order.facts, region=instance.region, lane=instance.id, room=order.room)


def _in_status(call: Call, region: str | None, instance_id: str, status: InstanceStatus) -> Instance:
    instance = power.find_unlocked(call, region, instance_id)
    if instance.status != status:
        raise IncorrectInstanceStatus(instance_id=instance.id, status=instance.status)
    return instance
