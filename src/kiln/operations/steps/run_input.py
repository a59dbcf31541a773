"""The parameters of RunInstances, which a launch template holds as well.

Source: ecs-api.md 11 and the official SDK's models.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from kiln.declare.errors import ApiError
from kiln.declare.rules import Accepted, Between, Count, Declined, Doc, Example, OneOf, Pattern, Unordered, Wire
from kiln.declare.shapes import shape
from kiln.networks.values import MOST_GROUPS
from kiln.operations import accepted
from kiln.operations.params import LaunchTemplateId, LaunchTemplateName, ProvisionedIops, SnapshotPolicyId
from kiln.operations.steps.encryption import EncryptAlgorithm, EncryptedText, EncryptionWish, KmsKeyId, is_true
from kiln.operations.steps.guest_input import TOLD
from kiln.operations.steps.launch_input import (
    DataDisk,
    DeleteWithInstance,
    LaunchInput,
    PrivateDnsNameOptions,
    SystemDisk,
)
from kiln.store.disks import DiskAsked

_SECURITY = Accepted("Guests have no trusted modules.")


class InvalidParamAmount(ApiError):
    """Amount is not 1 to 100."""

    code = "InvalidParam.Amount"
    status = 403
    message = "The specified parameter Amount is not valid: {rule}."


class InvalidMinAmountMalformed(ApiError):
    """MinAmount is not 1 to 100, or is above Amount."""

    code = "InvalidMinAmount.Malformed"
    message = "The specified parameter MinAmount is not valid."


def _with_performance(asked: DiskAsked, bursting_enabled: bool | None, provisioned_iops: int | None) -> DiskAsked:
    return replace(asked, bursting_enabled=bool(bursting_enabled), provisioned_iops=provisioned_iops or 0)


_SnapshotPolicy = Annotated[SnapshotPolicyId | None, Doc("The policy by which automatic snapshots are taken of it.")]
_Bursting = Annotated[bool | None, accepted.CATEGORIES, Doc("Performance bursts. DescribeDisks shows it.")]


@shape
class SystemDiskInput(SystemDisk):
    """The system disk."""

    size: Annotated[
        str | None,
        Pattern(r"[0-9]{1,9}", "a whole number", "big"),
        Example("40"),
        Doc("GiB, at least the image's size, which is the default, and at most what the category allows."),
    ] = None
    auto_snapshot_policy_id: _SnapshotPolicy = None
    bursting_enabled: _Bursting = None
    encrypt_algorithm: EncryptAlgorithm = None
    encrypted: EncryptedText = None
    kms_key_id: KmsKeyId = None
    provisioned_iops: ProvisionedIops | None = None
    delete_with_instance: DeleteWithInstance = True

    @property
    def asked(self) -> DiskAsked:
        return _with_performance(super().asked, self.bursting_enabled, self.provisioned_iops)

    @property
    def snapshot_policy(self) -> str:
        return self.auto_snapshot_policy_id or ""

    @property
    def goes(self) -> bool:
        return self.delete_with_instance

    @property
    def encryption(self) -> EncryptionWish:
        return EncryptionWish(encrypted=is_true(self.encrypted), key=self.kms_key_id, algorithm=self.encrypt_algorithm)


@shape
class DataDiskInput(DataDisk):
    """One data disk."""

    auto_snapshot_policy_id: _SnapshotPolicy = None
    bursting_enabled: _Bursting = None
    encrypted: EncryptedText = None
    provisioned_iops: ProvisionedIops | None = None

    @property
    def asked(self) -> DiskAsked:
        return _with_performance(super().asked, self.bursting_enabled, self.provisioned_iops)

    @property
    def snapshot_policy(self) -> str:
        return self.auto_snapshot_policy_id or ""

    @property
    def encryption(self) -> EncryptionWish:
        return replace(super().encryption, encrypted=is_true(self.encrypted))


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
class RunInput(LaunchInput):
    """What the request says, and what a template can say for it."""

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
    launch_template_id: Annotated[
        LaunchTemplateId | None,
        Doc("A launch template by its ID: it says what the request does not, and what the request says wins."),
    ] = None
    launch_template_name: Annotated[
        LaunchTemplateName | None, Doc("A launch template by its name, in place of LaunchTemplateId.")
    ] = None
    launch_template_version: Annotated[
        int | None, Example("3"), Doc("The template's version; its default version when not given.")
    ] = None
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
