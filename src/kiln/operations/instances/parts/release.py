"""What a release checks of an instance, and how it is begun: of one instance, or of several."""

from __future__ import annotations

from kiln.calls.call import Call
from kiln.declare.errors import ApiError
from kiln.declare.states import DiskStatus, InstanceStatus
from kiln.operations.errors.instances import (
    IncorrectInstanceStatus,
    InstanceLockedForSecurity,
    InvalidInstanceIdNotFound,
)
from kiln.operations.instances.parts import orders, power
from kiln.operations.instances.parts.orders import ForceFacts, Order
from kiln.store.disks import disks


class IncorrectInstanceStatusOfDelete(IncorrectInstanceStatus):
    """The instance runs and Force was not given, or it, or one of its disks, is on its way to another state."""

    hint = (
        "Stop it first: `kiln instance stop INSTANCE`. Or delete it though it runs: `kiln instance delete INSTANCE "
        "--force` (Force=true)."
    )


class IncorrectInstanceStatusInitializing(ApiError):
    """The instance is still being made or started."""

    code = "IncorrectInstanceStatus.Initializing"
    status = 403
    message = "The specified instance status does not support this operation."


class InvalidOperationDeletionProtection(ApiError):
    """The instance is protected."""

    code = "InvalidOperation.DeletionProtection"
    status = 403
    message = "The operation is not allowed due to deletion protection."
    hint = "`kiln instance modify INSTANCE --no-deletion-protection` lifts it."


#: All that check raises.
ERRORS = (
    InvalidInstanceIdNotFound,
    InstanceLockedForSecurity,
    InvalidOperationDeletionProtection,
    IncorrectInstanceStatusInitializing,
    IncorrectInstanceStatusOfDelete,
)


def check(call: Call, region: str | None, instance_id: str, *, force: bool, cut_power: bool) -> Order:
    """That the instance may be released; *force* allows a Running one. Raises one of ERRORS."""
    instance = power.find_unlocked(call, region, instance_id)
    if instance.deletion_protection:
        raise InvalidOperationDeletionProtection(instance_id=instance.id)
    if instance.status in (InstanceStatus.PENDING, InstanceStatus.STARTING):
        raise IncorrectInstanceStatusInitializing(instance_id=instance.id, status=instance.status)
    allowed = (InstanceStatus.STOPPED, InstanceStatus.RUNNING) if force else (InstanceStatus.STOPPED,)
    if instance.status not in allowed:
        raise IncorrectInstanceStatusOfDelete(instance_id=instance.id, status=instance.status)
    # What is under way with a disk has to end first, so that nothing is begun with it afterwards.
    if disks.count(call.tx, disks.c.status != DiskStatus.IN_USE, instance=instance.id) > 0:
        raise IncorrectInstanceStatusOfDelete(instance_id=instance.id, status=instance.status)
    facts = ForceFacts(force=cut_power)
    return Order(action="DeleteInstance", instance=instance, at_once=InstanceStatus.STOPPING, facts=facts)


def begin(call: Call, order: Order) -> None:
    """Record that the release is under way, and leave its task."""
    disks.move(call.tx, DiskStatus.IN_USE, DiskStatus.DETACHING, {}, instance=order.instance.id)
    orders.begin(call, order)
