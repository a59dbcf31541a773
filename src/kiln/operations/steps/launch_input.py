"""The parameters that RunInstances and CreateInstance share.

Source: ecs-api.md 11 and the official SDK's models. Most of what ECS asks has
no meaning on one host without billing; such parameters are read, so that a
template written for ECS works, and say here why they have no effect.
"""

from __future__ import annotations

from typing import Annotated

from kiln.declare.deployment import DISK_CATEGORIES, PERFORMANCE_LEVELS
from kiln.declare.rules import Accepted, Between, Composed, Count, Doc, Example, More, Name, OneOf, Unordered, Wire
from kiln.declare.shapes import shape
from kiln.operations import accepted
from kiln.operations.errors.launches import (
    InvalidDataDiskCategoryValueNotSupported,
    InvalidDiskNameMalformed,
    InvalidSystemDiskCategoryValueNotSupported,
)
from kiln.operations.errors.tags import QuotaExceedTags
from kiln.operations.params import (
    ArnInput,
    Description,
    ImageFamily,
    ImageId,
    RegionId,
    ResourceGroupId,
    SnapshotId,
    TagInput,
)
from kiln.operations.steps.encryption import EncryptAlgorithm, EncryptionWish, KmsKeyId
from kiln.operations.steps.guest_input import OF_ROLE, TOLD, HostName, Password, PasswordInherit, RamRoleName, UserData
from kiln.store.disks import DiskAsked

_METADATA = More("It counts from the guest's next question on.")

_CATEGORIES = tuple(DISK_CATEGORIES)

PerformanceLevel = Annotated[
    str,
    OneOf(tuple(PERFORMANCE_LEVELS)),
    Doc("Of a cloud_essd disk: PL0 to PL3, PL1 when not given. Remembered."),
]
DiskName = Annotated[str, Name(2, 128, InvalidDiskNameMalformed, any_script=True), Doc("The name of the disk.")]
DiskDescription = Annotated[Description, Doc("A description of the disk.")]
DeleteWithInstance = Annotated[
    bool, Doc("Whether the disk goes when the instance is released; otherwise it stays, detached.")
]
StorageClusterId = Annotated[str, accepted.CATEGORIES, Doc("A dedicated block storage cluster.")]


@shape
class PrivateDnsNameOptions:
    """Private DNS."""

    enable_instance_id_dns_aaaa_record: Annotated[
        bool | None, Wire("EnableInstanceIdDnsAAAARecord"), accepted.DNS, Doc("An AAAA record of the ID.")
    ] = None
    enable_instance_id_dns_a_record: Annotated[bool | None, accepted.DNS, Doc("An A record of the ID.")] = None
    enable_ip_dns_a_record: Annotated[bool | None, accepted.DNS, Doc("An A record of the address.")] = None
    enable_ip_dns_ptr_record: Annotated[bool | None, accepted.DNS, Doc("A PTR record.")] = None
    hostname_type: Annotated[str | None, accepted.DNS, Doc("What the name is made of.")] = None


@shape
class SystemDisk:
    """The system disk; its size is declared by each operation, which spell its type differently."""

    category: Annotated[
        str | None,
        OneOf(_CATEGORIES, InvalidSystemDiskCategoryValueNotSupported),
        Example("cloud_efficiency"),
        Doc("The category; the one that the image was made with when not given."),
    ] = None
    disk_name: DiskName | None = None
    description: DiskDescription | None = None
    performance_level: PerformanceLevel | None = None
    storage_cluster_id: StorageClusterId | None = None

    @property
    def asked(self) -> DiskAsked:
        """What is asked for that changes nothing here."""
        return DiskAsked(storage_cluster_id=self.storage_cluster_id or "")

    @property
    def goes(self) -> bool:
        """Whether it goes when the instance is released."""
        return True

    @property
    def snapshot_policy(self) -> str:
        """The policy for automatic snapshots, where the operation takes one; empty for none."""
        return ""

    @property
    def encryption(self) -> EncryptionWish:
        """How it is to be encrypted."""
        return EncryptionWish(encrypted=False)


@shape
class DataDisk:
    """One data disk, besides those of the image or in place of one of them."""

    size: Annotated[
        int | None,
        Example("100"),
        Doc("GiB, within the category's limits. Ignored with SnapshotId: the disk is as big as the snapshot's was."),
    ] = None
    snapshot_id: Annotated[SnapshotId | None, Doc("The snapshot that the disk is made of; blank without one.")] = None
    category: Annotated[
        str | None,
        OneOf(_CATEGORIES, InvalidDataDiskCategoryValueNotSupported),
        Example("cloud_efficiency"),
        Doc("The category. cloud_efficiency when not given, or that of the image's disk that is replaced."),
    ] = None
    disk_name: DiskName | None = None
    description: DiskDescription | None = None
    device: Annotated[
        str | None,
        Example("/dev/xvdb"),
        Doc(
            "The device name, /dev/xvdb to /dev/xvdz (or /dev/vdX); the next free one when not given. The name of a "
            "data disk of the image puts this disk in its place: without SnapshotId it still has that disk's "
            "contents, and may be bigger."
        ),
    ] = None
    delete_with_instance: DeleteWithInstance = True
    kms_key_id: KmsKeyId = None
    encrypt_algorithm: EncryptAlgorithm = None
    performance_level: PerformanceLevel | None = None
    storage_cluster_id: StorageClusterId | None = None

    @property
    def asked(self) -> DiskAsked:
        """What is asked for that changes nothing here."""
        return DiskAsked(storage_cluster_id=self.storage_cluster_id or "")

    @property
    def snapshot_policy(self) -> str:
        """The policy for automatic snapshots, where the operation takes one; empty for none."""
        return ""

    @property
    def encryption(self) -> EncryptionWish:
        """How it is to be encrypted."""
        return EncryptionWish(encrypted=False, key=self.kms_key_id, algorithm=self.encrypt_algorithm)


@shape
class HibernationInput:
    """Hibernation."""

    configured: Annotated[
        bool | None,
        Accepted("Instances do not hibernate."),
        Doc("Whether it may hibernate. DescribeInstances shows it."),
    ] = None


@shape
class PrivatePoolInput:
    """Private pools."""

    id: Annotated[str | None, accepted.HOSTS, Doc("The pool.")] = None
    match_criteria: Annotated[str | None, accepted.HOSTS, Doc("How to choose one.")] = None


@shape
class Essentials:
    """What both operations take and heed."""

    region_id: RegionId
    instance_type: Annotated[str, Example("ecs.t5-lc1m1.small"), Doc("The size. DescribeInstanceTypes lists them.")]
    image_id: Annotated[ImageId | None, Doc("The image; ImageFamily can say it instead.")] = None
    image_family: ImageFamily | None = None
    security_group_id: Annotated[
        str | None,
        Example("sg-bp15ed6xe1yxeycg7d2k"),
        Doc("The security group, of the vSwitch's VPC. The VPC's default group when none is given."),
    ] = None
    v_switch_id: Annotated[
        str | None,
        Example("vsw-bp1s5fnvk4gn2tws03e1"),
        Doc("The vSwitch. When not given, the zone's in the account's default VPC, which is made when it is missing."),
    ] = None
    zone_id: Annotated[str | None, Doc("The zone. The vSwitch's, or the region's first, when not given.")] = None
    private_ip_address: Annotated[
        str | None,
        Example("172.31.0.10"),
        Doc(
            "The private address, a free one of the vSwitch; any when not given. Of several instances, that of the "
            "first: the others have those that follow."
        ),
    ] = None
    instance_name: Annotated[
        str | None,
        Composed(),
        Example("web-[1,3]"),
        Doc(
            "The name, 2 to 128 characters, a letter or Chinese character first; the instance's ID when not given. "
            "name[begin,bits]suffix numbers several instances."
        ),
    ] = None
    host_name: Annotated[
        HostName | None,
        More("The instance's ID when not given. Numbered as InstanceName is; ${instance_id} stands for the ID."),
    ] = None
    description: Annotated[Description | None, Doc("A description of the instance.")] = None
    password: Password | None = None
    password_inherit: PasswordInherit | None = None
    key_pair_name: Annotated[
        str | None, Composed(), Example("ops"), Doc("The SSH key pair; Windows takes none."), TOLD
    ] = None
    user_data: UserData | None = None
    instance_charge_type: Annotated[
        str, OneOf(("PostPaid", "PrePaid")), Doc("PostPaid or PrePaid. Remembered; nothing is billed.")
    ] = "PostPaid"
    internet_charge_type: Annotated[
        str, OneOf(("PayByTraffic", "PayByBandwidth")), Doc("PayByTraffic or PayByBandwidth. Remembered.")
    ] = "PayByTraffic"
    internet_max_bandwidth_in: Annotated[int | None, Between(0, 1_000_000), Doc("Mbit/s. Remembered.")] = None
    internet_max_bandwidth_out: Annotated[
        int, Between(0, 100), Doc("Mbit/s, 0 to 100. Remembered. RunInstances gives a public address above 0.")
    ] = 0
    deletion_protection: Annotated[bool, Doc("Whether DeleteInstance refuses the instance.")] = False
    http_endpoint: Annotated[
        str,
        OneOf(("enabled", "disabled")),
        Doc("Whether the guest may ask the metadata service."),
        _METADATA,
    ] = "enabled"
    http_tokens: Annotated[
        str,
        OneOf(("optional", "required")),
        Doc("Whether the metadata service insists on tokens."),
        _METADATA,
    ] = "optional"
    resource_group_id: ResourceGroupId | None = None
    tag: Annotated[tuple[TagInput, ...], Unordered(), Count(20, QuotaExceedTags), Doc("Tags of the instance.")] = ()


@shape
class LaunchInput(Essentials):
    """What both operations take, with what has no effect: hosts, sets and billing."""

    affinity: Annotated[
        str | None, accepted.HOSTS, Doc("Whether it stays on its dedicated host. DescribeInstances shows it.")
    ] = None
    arn: Annotated[tuple[ArnInput, ...], Unordered(), accepted.ROLES, Doc("Roles to be assumed.")] = ()
    auto_renew: Annotated[bool | None, accepted.BILLING, Doc("Whether a subscription is renewed.")] = None
    auto_renew_period: Annotated[int | None, accepted.BILLING, Doc("For how long it is renewed.")] = None
    credit_specification: Annotated[
        str | None, accepted.CPU, Doc("The mode of a burstable instance. DescribeInstances shows it.")
    ] = None
    dedicated_host_id: Annotated[str | None, accepted.HOSTS, Doc("The dedicated host. DescribeInstances shows it.")] = (
        None
    )
    deployment_set_group_no: Annotated[
        int | None, accepted.HOSTS, Doc("The group of the deployment set. DescribeInstances shows it.")
    ] = None
    deployment_set_id: Annotated[str | None, accepted.HOSTS, Doc("The deployment set. DescribeInstances shows it.")] = (
        None
    )
    hibernation_options: Annotated[HibernationInput | None, Doc("Hibernation.")] = None
    hpc_cluster_id: Annotated[str | None, accepted.HOSTS, Doc("The HPC cluster. DescribeInstances shows it.")] = None
    http_put_response_hop_limit: Annotated[
        int | None, accepted.NETWORK, Doc("Hops that a metadata answer lives. DescribeInstances shows it.")
    ] = None
    io_optimized: Annotated[str | None, Accepted("Every instance is I/O optimized."), Doc("none or optimized.")] = None
    managed_host_id: Annotated[str | None, accepted.HOSTS, Doc("The managed host.")] = None
    period: Annotated[int | None, accepted.BILLING, Doc("The length of a subscription.")] = None
    period_unit: Annotated[str | None, accepted.BILLING, Doc("Its unit.")] = None
    private_pool_options: Annotated[PrivatePoolInput | None, Doc("Private pools.")] = None
    ram_role_name: Annotated[RamRoleName | None, Doc("The instance's role: any of the account's."), OF_ROLE] = None
    security_enhancement_strategy: Annotated[str | None, accepted.SECURITY_AGENT, Doc("Active or Deactive.")] = None
    spot_duration: Annotated[
        int | None, accepted.BILLING, Doc("How long a spot instance is kept. DescribeInstances shows it.")
    ] = None
    spot_interruption_behavior: Annotated[str | None, accepted.BILLING, Doc("What happens to it then.")] = None
    spot_price_limit: Annotated[
        float | None, accepted.BILLING, Doc("The highest price. DescribeInstances shows it.")
    ] = None
    spot_strategy: Annotated[str | None, accepted.BILLING, Doc("How it bids. DescribeInstances shows it.")] = None
    storage_set_id: Annotated[str | None, accepted.CATEGORIES, Doc("The storage set.")] = None
    storage_set_partition_number: Annotated[int | None, accepted.CATEGORIES, Doc("Its partitions.")] = None
    tenancy: Annotated[
        str | None, accepted.HOSTS, Doc("Whether it is on a dedicated host. DescribeInstances shows it.")
    ] = None
