"""Change what an instance is called, how its guest is set up, and whether it may be released.

What is not sent stays as it is. The guest finds a new host name and user data
at the metadata service; user data can be changed only while the instance is
Stopped. A password is given to the guest after its next start or restart by
StartInstance or RebootInstance.
"""

from __future__ import annotations

from typing import Annotated, Any

from kiln.calls.call import Call
from kiln.declare.errors import ApiError
from kiln.declare.operation import Operation
from kiln.declare.rules import Accepted, Clearable, Count, Doc, Secret, Unordered, Wire
from kiln.declare.shapes import shape
from kiln.declare.states import InstanceStatus
from kiln.ground.units import KiB
from kiln.ground.values import dataclass
from kiln.networks.values import MOST_GROUPS
from kiln.operations import accepted
from kiln.operations.errors.instances import (
    IncorrectInstanceStatus,
    InstanceLockedForSecurity,
    InvalidInstanceIdNotFound,
)
from kiln.operations.errors.networks import InvalidParameterMismatchOfGroup, InvalidSecurityGroupIdNotFound
from kiln.operations.instances.parts import power
from kiln.operations.instances.parts.placement import check_groups
from kiln.operations.params import Description, InstanceId, NothingMore, OwnRegionId
from kiln.operations.steps.guest_input import (
    TOLD,
    Base64,
    HostName,
    InstanceName,
    InvalidHostNameMalformed,
    InvalidPasswordMalformed,
    Password,
    Raw,
    check_host_name,
    check_password,
)
from kiln.operations.steps.launch_input import PrivateDnsNameOptions
from kiln.store.instances import instances
from kiln.store.interfaces import NetworkInterface, join_instead, primary_of

_VNC = Accepted("There is no remote console.")


class InvalidUserDataBase64FormatInvalidOfModify(ApiError):
    """The user data is not Base64."""

    code = "InvalidUserData.Base64FormatInvalid"
    status = 403
    message = "The specified UserData is not valid"


@shape
class CpuOptions:
    """The CPU."""

    core: Annotated[int | None, accepted.CPU, Doc("Cores.")] = None
    threads_per_core: Annotated[int | None, accepted.CPU, Doc("Threads of a core.")] = None
    topology_type: Annotated[str | None, accepted.CPU, Doc("The topology.")] = None
    nested_virtualization: Annotated[str | None, accepted.CPU, Doc("Virtual machines in the guest.")] = None
    turbo_mode: Annotated[str | None, accepted.CPU, Doc("Of the classic SDK.")] = None
    enable_visst: Annotated[bool | None, Wire("EnableVISST"), accepted.CPU, Doc("Of the classic SDK.")] = None
    enable_vrdt: Annotated[bool | None, Wire("EnableVRDT"), accepted.CPU, Doc("Of the classic SDK.")] = None


@shape
class RemoteConnectionOptions:
    """The remote console."""

    password: Annotated[str | None, Secret(), _VNC, Doc("Its password.")] = None
    type: Annotated[str | None, _VNC, Doc("Its type.")] = None


@shape
class Input:
    region_id: OwnRegionId = None
    instance_id: InstanceId
    instance_name: InstanceName | None = None
    description: Annotated[
        Description | None, Clearable(), Doc("A description of the instance. Empty: it has none any more.")
    ] = None
    host_name: HostName | None = None
    password: Password | None = None
    user_data: Annotated[
        str | None,
        Secret(),
        Base64(InvalidUserDataBase64FormatInvalidOfModify),
        Raw(32 * KiB),
        Clearable(),
        Doc("What cloud-init is to find in the guest, in Base64. Empty: nothing any more."),
        TOLD,
    ] = None
    security_group_ids: Annotated[
        tuple[str, ...],
        Unordered(),
        Count(MOST_GROUPS),
        Doc("The security groups, of the instance's VPC, in place of the present ones."),
    ] = ()
    deletion_protection: Annotated[bool | None, Doc("Whether DeleteInstance refuses the instance.")] = None
    cpu_options: Annotated[CpuOptions | None, Doc("The CPU.")] = None
    credit_specification: Annotated[
        str | None, accepted.CPU, Doc("The mode of a burstable instance. DescribeInstances shows it.")
    ] = None
    enable_jumbo_frame: Annotated[bool | None, accepted.NETWORK, Doc("Jumbo frames.")] = None
    enable_network_encryption: Annotated[bool | None, accepted.NETWORK, Doc("Encryption on the wire.")] = None
    network_interface_queue_number: Annotated[int | None, accepted.NETWORK, Doc("Queues of the first interface.")] = (
        None
    )
    private_dns_name_options: Annotated[PrivateDnsNameOptions | None, Doc("Private DNS.")] = None
    recyclable: Annotated[
        bool | None, Accepted("A released instance is gone."), Doc("Whether it goes to the recycle bin first.")
    ] = None
    remote_connection_options: Annotated[RemoteConnectionOptions | None, Doc("The remote console.")] = None


@dataclass(frozen=True, kw_only=True)
class Plan:
    instance_id: str
    changes: dict[str, Any]
    card: NetworkInterface | None
    groups: list[str]  #: In place of the present ones; none: they stay.


def check(call: Call, p: Input) -> Plan:
    instance = power.find_unlocked(call, p.region_id, p.instance_id)
    if p.user_data is not None and instance.status != InstanceStatus.STOPPED:
        raise IncorrectInstanceStatus(instance_id=instance.id, status=instance.status)
    if p.host_name is not None:
        check_host_name(p.host_name, instance.system.os_type)
    check_password(p.password, None, instance.system.os_type)
    wanted = {
        "name": p.instance_name,
        "description": p.description,
        "host_name": p.host_name,
        "password": None if p.password is None else call.ports.seal(p.password),
        "password_due": None if p.password is None else True,
        "password_inherit": None if p.password is None else False,
        "user_data": p.user_data,
        "deletion_protection": p.deletion_protection,
        "credit_specification": p.credit_specification,
    }
    card, groups = primary_of(call.tx, instance.id), list[str]()
    if p.security_group_ids and card is not None:
        groups = check_groups(call, instance.region, card.vpc, p.security_group_ids, InvalidParameterMismatchOfGroup)
    changes = {name: value for name, value in wanted.items() if value is not None}
    return Plan(instance_id=instance.id, changes=changes, card=card, groups=groups)


def commit(call: Call, plan: Plan) -> NothingMore:
    if plan.changes:
        instances.update(call.tx, plan.changes, id=plan.instance_id)
    if plan.card is not None and plan.groups:
        join_instead(call.tx, plan.card, plan.groups)
    return NothingMore()


modify_instance_attribute = Operation(
    input=Input,
    output=NothingMore,
    check=check,
    commit=commit,
    errors=(
        InvalidInstanceIdNotFound,
        InstanceLockedForSecurity,
        IncorrectInstanceStatus,
        InvalidHostNameMalformed,
        InvalidPasswordMalformed,
        InvalidSecurityGroupIdNotFound,
        InvalidParameterMismatchOfGroup,
    ),
)
