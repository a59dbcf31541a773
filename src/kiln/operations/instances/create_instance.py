"""Create one instance of an image, with its disks, and leave it Stopped.

The older form of RunInstances. The instance is Pending while its disks are
made, then Stopped; StartInstance starts it. It never has a public address by
itself. An instance whose disks cannot be made (the pool is full) goes away
again.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from kiln.calls.call import Call, Job
from kiln.declare.errors import ApiError
from kiln.declare.operation import Operation
from kiln.declare.rules import Count, Doc, Example
from kiln.declare.shapes import shape
from kiln.declare.states import InstanceStatus
from kiln.ground.values import dataclass
from kiln.operations import accepted
from kiln.operations.errors.launches import IDEMPOTENT
from kiln.operations.instances.parts import launch
from kiln.operations.instances.parts.launch import Launches, LaunchFacts, Wish
from kiln.operations.instances.parts.placement import Wanted
from kiln.operations.params import InstanceId, to_pairs
from kiln.operations.steps.encryption import Encrypted, EncryptionWish
from kiln.operations.steps.launch_input import DataDisk, LaunchInput, SystemDisk


class InvalidInstanceTypeValueNotSupportedOfCreate(ApiError):
    """The deployment has no such instance type."""

    code = "InvalidInstanceType.ValueNotSupported"
    message = "The specified InstanceType does not exist or beyond the permitted range."
    hint = "`kiln region types` lists the types."


@shape
class SystemDiskInput(SystemDisk):
    """The system disk."""

    size: Annotated[
        int | None,
        Example("40"),
        Doc("GiB, at least the image's size, which is the default, and at most what the category allows."),
    ] = None


@shape
class DataDiskInput(DataDisk):
    """One data disk."""

    encrypted: Encrypted = None

    @property
    def encryption(self) -> EncryptionWish:
        return replace(super().encryption, encrypted=bool(self.encrypted))


@shape
class Input(LaunchInput):
    system_disk: Annotated[SystemDiskInput | None, Doc("The system disk.")] = None
    data_disk: Annotated[tuple[DataDiskInput, ...], Count(16), Doc("Data disks.")] = ()
    cluster_id: Annotated[str | None, accepted.HOSTS, Doc("The cluster.")] = None
    inner_ip_address: Annotated[str | None, accepted.NETWORK, Doc("The internal address.")] = None
    node_controller_id: Annotated[str | None, accepted.HOSTS, Doc("The node.")] = None
    use_additional_service: Annotated[bool | None, accepted.SERVICES, Doc("Whether to have them.")] = None
    vlan_id: Annotated[str | None, accepted.NETWORK, Doc("The VLAN.")] = None


@shape
class Output:
    instance_id: InstanceId
    order_id: Annotated[str, Doc("Always empty: nothing is billed.")]
    trade_price: Annotated[float, Doc("Always 0: nothing is billed.")]


@dataclass(frozen=True, kw_only=True)
class Plan:
    launches: Launches
    tags: dict[str, str]


def check(call: Call, p: Input) -> Plan:
    pairs = to_pairs(p.tag)
    system = p.system_disk or SystemDiskInput()
    wish = Wish(
        system=system,
        system_gib=system.size,
        data=p.data_disk,
        place=Wanted(
            zone=p.zone_id,
            vswitch=p.v_switch_id,
            groups=(p.security_group_id,) if p.security_group_id else (),
            address=p.private_ip_address,
        ),
        unknown_type=InvalidInstanceTypeValueNotSupportedOfCreate,
    )
    return Plan(launches=launch.plan(call, p, wish), tags=pairs)


def commit(call: Call, plan: Plan) -> Output:
    launch.record(call, plan.launches, plan.tags)
    (only,) = plan.launches.ids
    return Output(instance_id=only, order_id="", trade_price=0.0)


def carry_out(job: Job[LaunchFacts]) -> None:
    launch.make(job, InstanceStatus.STOPPED)


give_up = launch.give_up

create_instance = Operation(
    input=Input,
    output=Output,
    check=check,
    commit=commit,
    carry_out=carry_out,
    facts=LaunchFacts,
    give_up=give_up,
    idempotent=IDEMPOTENT,
    leads_to=("Pending", "Stopped"),
    errors=(InvalidInstanceTypeValueNotSupportedOfCreate, *launch.ERRORS),
)
