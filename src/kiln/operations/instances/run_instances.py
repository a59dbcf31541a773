"""Create one to a hundred instances of an image, with their disks, and start them.

The IDs are answered at once. Each instance is Pending while its disks are made,
then Starting, then Running; no bytes are copied. The image's data disks come
with it, besides those that DataDisk adds. An instance whose disks cannot be
made (the pool is full) goes away again; one that does not start stays, Stopped.

With InternetMaxBandwidthOut above 0 each instance has a public address: one of
this host, at which the guest's SSH port answers.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from kiln.calls.call import Call, Job
from kiln.declare.errors import ApiError, InvalidParameter
from kiln.declare.operation import Operation
from kiln.declare.rules import Accepted, Between, Count, Declined, Doc, Example, OneOf, Pattern, Unordered, Wire
from kiln.declare.shapes import shape
from kiln.declare.states import InstanceStatus
from kiln.ground.clock import from_text
from kiln.ground.units import DAY_S
from kiln.ground.values import dataclass
from kiln.networks.values import MOST_GROUPS
from kiln.operations import accepted
from kiln.operations.instances.parts import launch, power
from kiln.operations.instances.parts.launch import Launches, LaunchFacts, Wish
from kiln.operations.instances.parts.launch_errors import IDEMPOTENT, OperationDeniedNoStock
from kiln.operations.instances.parts.launch_input import DataDisk, LaunchInput, PrivateDnsNameOptions, SystemDisk
from kiln.operations.instances.parts.placement import Wanted
from kiln.operations.params import InstanceId, ProvisionedIops, to_pairs
from kiln.operations.steps.guest_input import TOLD
from kiln.store.disks import DiskAsked

_SECURITY = Accepted("Guests have no trusted modules.")
_SOONEST_RELEASE, _LATEST_RELEASE = 30 * 60, 3 * 365 * DAY_S  #: Seconds from now.
_TEMPLATES = Accepted("There are no launch templates: send what the template says.")


class InvalidInstanceTypeValueNotSupportedOfRun(ApiError):
    """The deployment has no such instance type."""

    code = "InvalidInstanceType.ValueNotSupported"
    message = "The specified InstanceType beyond the permitted range."
    hint = "DescribeInstanceTypes lists the types."


class InvalidParamAmount(ApiError):
    """Amount is not 1 to 100."""

    code = "InvalidParam.Amount"
    status = 403
    message = "The specified parameter Amount is not valid: {rule}."


class InvalidMinAmountMalformed(ApiError):
    """MinAmount is not 1 to 100, or is above Amount."""

    code = "InvalidMinAmount.Malformed"
    message = "The specified parameter MinAmount is not valid."


class InvalidAutoReleaseTimeMalformed(ApiError):
    """AutoReleaseTime is no time, or too near or too far ahead."""

    code = "InvalidAutoReleaseTime.Malformed"
    message = "The specified parameter AutoReleaseTime is not valid."
    hint = "As 2026-12-24T18:00:00Z, UTC, half an hour to three years from now."


def _with_performance(asked: DiskAsked, bursting_enabled: bool | None, provisioned_iops: int | None) -> DiskAsked:
    return replace(asked, bursting_enabled=bool(bursting_enabled), provisioned_iops=provisioned_iops or 0)


@shape
class SystemDiskInput(SystemDisk):
    """The system disk."""

    size: Annotated[
        str | None,
        Pattern(r"[0-9]{1,9}", "a whole number", "big"),
        Example("40"),
        Doc("GiB, at least the image's size, which is the default, and at most what the category allows."),
    ] = None
    auto_snapshot_policy_id: Annotated[str | None, Accepted("There are no snapshot policies."), Doc("A policy.")] = None
    bursting_enabled: Annotated[
        bool | None, accepted.CATEGORIES, Doc("Performance bursts. DescribeDisks shows it.")
    ] = None
    encrypt_algorithm: Annotated[str | None, accepted.ENCRYPTION, Doc("The algorithm.")] = None
    encrypted: Annotated[str | None, accepted.ENCRYPTION, Doc("Whether the disk is encrypted.")] = None
    kms_key_id: Annotated[str | None, Wire("KMSKeyId"), accepted.ENCRYPTION, Doc("The key.")] = None
    provisioned_iops: ProvisionedIops | None = None

    @property
    def asked(self) -> DiskAsked:
        return _with_performance(super().asked, self.bursting_enabled, self.provisioned_iops)


@shape
class DataDiskInput(DataDisk):
    """One data disk."""

    auto_snapshot_policy_id: Annotated[str | None, Accepted("There are no snapshot policies."), Doc("A policy.")] = None
    bursting_enabled: Annotated[
        bool | None, accepted.CATEGORIES, Doc("Performance bursts. DescribeDisks shows it.")
    ] = None
    encrypted: Annotated[str | None, accepted.ENCRYPTION, Doc("Whether the disk is encrypted.")] = None
    provisioned_iops: ProvisionedIops | None = None

    @property
    def asked(self) -> DiskAsked:
        return _with_performance(super().asked, self.bursting_enabled, self.provisioned_iops)


@shape
class CpuOptions:
    """The CPU."""

    core: Annotated[int | None, accepted.CPU, Doc("Cores.")] = None
    numa: Annotated[str | None, accepted.CPU, Doc("NUMA.")] = None
    threads_per_core: Annotated[int | None, accepted.CPU, Doc("Threads of a core.")] = None
    topology_type: Annotated[str | None, accepted.CPU, Doc("The topology.")] = None
    nested_virtualization: Annotated[str | None, accepted.CPU, Doc("Virtual machines in the guest.")] = None
    turbo_mode: Annotated[str | None, accepted.CPU, Doc("Of the classic SDK.")] = None
    enable_visst: Annotated[bool | None, Wire("EnableVISST"), accepted.CPU, Doc("Of the classic SDK.")] = None
    enable_vrdt: Annotated[bool | None, Wire("EnableVRDT"), accepted.CPU, Doc("Of the classic SDK.")] = None


@shape
class NetworkInterface:
    """A network interface."""

    delete_on_release: Annotated[bool | None, accepted.NETWORK, Doc("Whether it goes with the instance.")] = None
    description: Annotated[str | None, accepted.NETWORK, Doc("A description.")] = None
    instance_type: Annotated[
        str | None, OneOf(("Primary", "Secondary")), Doc("Primary: an instance has one interface here.")
    ] = None
    ipv6_address: Annotated[tuple[str, ...], Unordered(), accepted.NETWORK, Doc("IPv6 addresses.")] = ()
    ipv6_address_count: Annotated[int | None, accepted.NETWORK, Doc("How many IPv6 addresses.")] = None
    network_card_index: Annotated[int | None, accepted.NETWORK, Doc("The card.")] = None
    network_interface_id: Annotated[
        str | None, Declined("no interface is there before its instance"), Doc("The interface.")
    ] = None
    network_interface_name: Annotated[str | None, accepted.NETWORK, Doc("Its name.")] = None
    network_interface_traffic_mode: Annotated[str | None, accepted.NETWORK, Doc("Its traffic mode.")] = None
    primary_ip_address: Annotated[str | None, Example("172.31.0.10"), Doc("As PrivateIpAddress.")] = None
    queue_number: Annotated[int | None, accepted.NETWORK, Doc("Queues.")] = None
    queue_pair_number: Annotated[int | None, accepted.NETWORK, Doc("Queue pairs.")] = None
    rx_queue_size: Annotated[int | None, accepted.NETWORK, Doc("The receive queue's size.")] = None
    secondary_private_ip_address_count: Annotated[int | None, accepted.NETWORK, Doc("More addresses.")] = None
    security_group_id: Annotated[str | None, Doc("The security group; not together with SecurityGroupIds.")] = None
    security_group_ids: Annotated[tuple[str, ...], Unordered(), Count(MOST_GROUPS), Doc("The security groups.")] = ()
    source_dest_check: Annotated[bool | None, accepted.NETWORK, Doc("Whether addresses are checked.")] = None
    tx_queue_size: Annotated[int | None, accepted.NETWORK, Doc("The send queue's size.")] = None
    v_switch_id: Annotated[str | None, Doc("The vSwitch.")] = None


@shape
class NetworkOptions:
    """The network."""

    bandwidth_weighting: Annotated[str | None, accepted.NETWORK, Doc("The weighting.")] = None
    enable_jumbo_frame: Annotated[bool | None, accepted.NETWORK, Doc("Jumbo frames.")] = None
    enable_network_encryption: Annotated[bool | None, accepted.NETWORK, Doc("Encryption on the wire.")] = None


@shape
class SecurityOptions:
    """Security."""

    confidential_computing_mode: Annotated[str | None, _SECURITY, Doc("Confidential computing.")] = None
    trusted_system_mode: Annotated[str | None, _SECURITY, Doc("A trusted system.")] = None
    enable_secure_boot: Annotated[bool | None, _SECURITY, Doc("Secure boot.")] = None


@shape
class SchedulerOptions:
    """Scheduling."""

    dedicated_host_cluster_id: Annotated[str | None, accepted.HOSTS, Doc("The cluster of dedicated hosts.")] = None


@shape
class ClockOptions:
    """The clock."""

    ptp_status: Annotated[str | None, accepted.HOSTS, Doc("Whether there is a PTP clock.")] = None


@shape
class ImageOptions:
    """The image."""

    login_as_non_root: Annotated[
        bool | None, Accepted("cloud-init decides."), Doc("Who logs in. DescribeInstances shows it.")
    ] = None


@shape
class Input(LaunchInput):
    system_disk: Annotated[SystemDiskInput | None, Doc("The system disk.")] = None
    data_disk: Annotated[tuple[DataDiskInput, ...], Count(16), Doc("Data disks.")] = ()
    amount: Annotated[int, Between(1, 100, InvalidParamAmount), Example("1"), Doc("How many instances.")] = 1
    min_amount: Annotated[
        int | None,
        Between(1, 100, InvalidMinAmountMalformed),
        Doc("How many will do when there is not room for Amount. All or none are made here."),
    ] = None
    security_group_ids: Annotated[
        tuple[str, ...],
        Unordered(),
        Count(MOST_GROUPS),
        Doc("The security groups; not together with SecurityGroupId."),
    ] = ()
    host_names: Annotated[
        tuple[str, ...], Count(100), Doc("A host name for each instance; not together with HostName."), TOLD
    ] = ()
    unique_suffix: Annotated[
        bool, Doc("Append 001, 002, ... to InstanceName and HostName, unless they end in a number in brackets.")
    ] = False
    auto_pay: Annotated[bool | None, accepted.BILLING, Doc("Whether it is paid at once.")] = None
    auto_release_time: Annotated[
        str | None,
        Example("2026-12-24T18:00:00Z"),
        Doc(
            "When the instance is released by itself, running or not, UTC: half an hour to three years from now. The "
            "seconds do not count. One that is protected against deletion is kept."
        ),
    ] = None
    clock_options: Annotated[ClockOptions | None, Doc("The clock.")] = None
    cpu_options: Annotated[CpuOptions | None, Doc("The CPU.")] = None
    image_options: Annotated[ImageOptions | None, Doc("The image.")] = None
    ipv6_address: Annotated[tuple[str, ...], Unordered(), accepted.NETWORK, Doc("IPv6 addresses.")] = ()
    ipv6_address_count: Annotated[int | None, accepted.NETWORK, Doc("How many IPv6 addresses.")] = None
    isp: Annotated[str | None, accepted.NETWORK, Doc("The provider. DescribeInstances shows it.")] = None
    launch_template_id: Annotated[str | None, _TEMPLATES, Doc("The launch template.")] = None
    launch_template_name: Annotated[str | None, _TEMPLATES, Doc("Its name.")] = None
    launch_template_version: Annotated[int | None, _TEMPLATES, Doc("Its version.")] = None
    network_interface: Annotated[
        tuple[NetworkInterface, ...], Doc("The primary interface, in place of VSwitchId and its like.")
    ] = ()
    network_interface_queue_number: Annotated[int | None, accepted.NETWORK, Doc("Queues of the first interface.")] = (
        None
    )
    network_options: Annotated[NetworkOptions | None, Doc("The network.")] = None
    private_dns_name_options: Annotated[PrivateDnsNameOptions | None, Doc("Private DNS.")] = None
    scheduler_options: Annotated[SchedulerOptions | None, Doc("Scheduling.")] = None
    security_options: Annotated[SecurityOptions | None, Doc("Security.")] = None


@shape
class InstanceIdSetsOutput:
    """IDs."""

    instance_id_set: Annotated[tuple[InstanceId, ...], Doc("The IDs of the new instances.")]


@shape
class Output:
    instance_id_sets: Annotated[InstanceIdSetsOutput, Doc("The new instances.")]
    order_id: Annotated[str, Doc("Always empty: nothing is billed.")]
    trade_price: Annotated[float, Doc("Always 0: nothing is billed.")]


@dataclass(frozen=True, kw_only=True)
class Plan:
    launches: Launches
    tags: dict[str, str]


def check(call: Call, p: Input) -> Plan:
    pairs = to_pairs(p.tag)
    if p.min_amount is not None and p.min_amount > p.amount:
        raise InvalidMinAmountMalformed(min_amount=p.min_amount, amount=p.amount)
    if p.security_group_id is not None and p.security_group_ids:
        raise InvalidParameter(parameter="SecurityGroupIds.N", rule="not together with SecurityGroupId")
    if p.host_names and (p.host_name is not None or len(p.host_names) > p.amount):
        raise InvalidParameter(parameter="HostNames.N", rule="at most one an instance, and not together with HostName")
    released_at = None if p.auto_release_time is None else _release_time(p.auto_release_time, call.now)
    system = p.system_disk or SystemDiskInput()
    wish = Wish(
        system=system,
        system_gib=int(system.size) if system.size else None,
        data=p.data_disk,
        count=p.amount,
        unique=p.unique_suffix,
        host_names=p.host_names,
        place=_place(p),
        with_public_ip=p.internet_max_bandwidth_out > 0,
        unknown_type=InvalidInstanceTypeValueNotSupportedOfRun,
        auto_release_at=released_at,
        isp=p.isp or "",
        login_as_non_root=bool(p.image_options and p.image_options.login_as_non_root),
    )
    return Plan(launches=launch.plan(call, p, wish), tags=pairs)


def _place(p: Input) -> Wanted:
    """What is said of the network by itself, or of the primary interface. Raises InvalidParameter."""
    groups = p.security_group_ids or ((p.security_group_id,) if p.security_group_id else ())
    if not p.network_interface:
        return Wanted(zone=p.zone_id, vswitch=p.v_switch_id, groups=groups, address=p.private_ip_address)
    card, *others = p.network_interface
    if others or card.instance_type != "Primary":
        rule = "there may be one, with InstanceType=Primary: an instance has one interface here"
        raise InvalidParameter(parameter="NetworkInterface.N", rule=rule)
    if card.security_group_id is not None and card.security_group_ids:
        raise InvalidParameter(parameter="NetworkInterface.1.SecurityGroupIds.N", rule="not with SecurityGroupId")
    if p.v_switch_id or groups or p.private_ip_address:
        rule = "not together with VSwitchId, PrivateIpAddress and security groups of the instance"
        raise InvalidParameter(parameter="NetworkInterface.1", rule=rule)
    groups = card.security_group_ids or ((card.security_group_id,) if card.security_group_id else ())
    return Wanted(zone=p.zone_id, vswitch=card.v_switch_id, groups=groups, address=card.primary_ip_address)


def _release_time(text: str, now: float) -> float:
    """The minute that was asked for. Raises InvalidAutoReleaseTimeMalformed."""
    when = from_text(text)
    if when is None or not _SOONEST_RELEASE <= when - now <= _LATEST_RELEASE:
        raise InvalidAutoReleaseTimeMalformed(auto_release_time=text)
    return when - when % 60


def commit(call: Call, plan: Plan) -> Output:
    launch.record(call, plan.launches, plan.tags)
    ids = plan.launches.ids
    return Output(instance_id_sets=InstanceIdSetsOutput(instance_id_set=ids), order_id="", trade_price=0.0)


def carry_out(job: Job[LaunchFacts]) -> None:
    launch.make(job, InstanceStatus.STARTING)
    power.start(job)


give_up = launch.give_up

run_instances = Operation(
    input=Input,
    output=Output,
    check=check,
    commit=commit,
    carry_out=carry_out,
    facts=LaunchFacts,
    give_up=give_up,
    idempotent=IDEMPOTENT,
    leads_to=("Pending", "Running"),
    errors=(
        InvalidInstanceTypeValueNotSupportedOfRun,
        InvalidAutoReleaseTimeMalformed,
        InvalidMinAmountMalformed,
        InvalidParameter,
        *launch.ERRORS,
        OperationDeniedNoStock,
    ),
)
