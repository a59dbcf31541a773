"""How an elastic IP address looks in an answer."""

from __future__ import annotations

from typing import Annotated

from kiln.declare.rules import Doc, Wire
from kiln.declare.shapes import shape
from kiln.ground.clock import to_seconds_text
from kiln.operations.network_words import AllocationId
from kiln.store.eips import Eip


@shape
class LockReasonOutput:
    """Why an address is locked."""

    lock_reason: Annotated[str, Doc("The reason.")]


@shape
class OperationLocksOutput:
    """Locks, of which there are none."""

    lock_reason: Annotated[tuple[LockReasonOutput, ...], Doc("Always empty.")] = ()


@shape
class EipOutput:
    """An elastic IP address."""

    allocation_id: AllocationId
    ip_address: Annotated[str, Doc("The address: one of this host's.")]
    status: Annotated[str, Doc("Available, or InUse while it leads to an instance.")]
    instance_id: Annotated[str, Doc("The instance that it leads to, or empty.")]
    instance_type: Annotated[str, Doc("EcsInstance, or empty.")]
    name: Annotated[str, Doc("The name, or empty.")]
    description: Annotated[str, Doc("The description, or empty.")]
    region_id: Annotated[str, Doc("The region.")]
    bandwidth: Annotated[str, Doc("Mbit/s, as it was asked for.")]
    eip_bandwidth: Annotated[str, Doc("The same.")]
    internet_charge_type: Annotated[str, Doc("As it was asked for.")]
    charge_type: Annotated[str, Doc("As it was asked for.")]
    isp: Annotated[str, Wire("ISP"), Doc("As it was asked for.")]
    allocation_time: Annotated[str, Doc("When it was allocated, UTC.")]
    expired_time: Annotated[str, Doc("Always empty.")] = ""
    operation_locks: Annotated[OperationLocksOutput, Doc("Locks, of which there are none.")] = OperationLocksOutput()
    resource_group_id: Annotated[str, Doc("The resource group, or empty.")]


def draw(row: Eip) -> EipOutput:
    """The answer's view of one address."""
    return EipOutput(
        allocation_id=row.id,
        ip_address=row.address,
        status=row.status,
        instance_id=row.instance,
        instance_type="EcsInstance" if row.instance else "",
        name=row.name,
        description=row.description,
        region_id=row.region,
        bandwidth=str(row.bandwidth),
        eip_bandwidth=str(row.bandwidth),
        internet_charge_type=row.internet_charge_type,
        charge_type=row.charge_type,
        isp=row.isp,
        allocation_time=to_seconds_text(row.created_at),
        resource_group_id=row.resource_group,
    )
