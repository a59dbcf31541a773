"""How an instance looks in an answer.

Source of the fields: ecs-api.md 11 (DescribeInstances). Every field is always
there, and every container is an object, because clients reach into them
without asking (clients.md 2, points 9 and 11). Knows no filters and no SQL.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from kiln.declare.deployment import InstanceType
from kiln.declare.rules import Doc, Example, Wire
from kiln.declare.shapes import shape
from kiln.declare.states import InstanceStatus
from kiln.ground.clock import to_minutes_text
from kiln.ground.values import dataclass
from kiln.operations.params import InstanceId, TagsOutput, draw_tags
from kiln.store.eips import Eip
from kiln.store.instances import Asked, Instance, serial_number
from kiln.store.interfaces import NetworkInterface
from kiln.store.tags import Tag

#: What a pay-as-you-go instance's expiry is on ECS: never.
_NEVER = "2099-12-31T15:59Z"

_UNKNOWN = InstanceType("", 0, 0)


@shape
class IpAddressesOutput:
    """Addresses."""

    ip_address: Annotated[tuple[str, ...], Doc("The addresses.")] = ()


@shape
class VpcAttributesOutput:
    """The instance in its VPC."""

    vpc_id: Annotated[str, Doc("The VPC.")]
    v_switch_id: Annotated[str, Doc("The vSwitch.")]
    nat_ip_address: Annotated[str, Doc("Always empty.")] = ""
    private_ip_address: Annotated[IpAddressesOutput, Doc("The private address.")]


@shape
class EipAddressOutput:
    """The elastic address that leads to the instance; empty when none does."""

    allocation_id: Annotated[str, Doc("Its ID.")] = ""
    ip_address: Annotated[str, Doc("The address.")] = ""
    bandwidth: Annotated[int, Doc("Mbit/s, as it was asked for.")] = 0
    internet_charge_type: Annotated[str, Doc("As it was asked for.")] = ""
    is_support_unassociate: Annotated[bool, Doc("Whether UnassociateEipAddress takes it away.")] = False


@shape
class SecurityGroupIdsOutput:
    """Security groups."""

    security_group_id: Annotated[tuple[str, ...], Doc("The IDs.")]


@shape
class LockReasonOutput:
    """Why an instance is locked."""

    lock_reason: Annotated[str, Doc("financial, security, ...; replacing while ReplaceSystemDisk is under way.")]
    lock_msg: Annotated[str, Doc("The same as a sentence, or empty.")]


@shape
class OperationLocksOutput:
    """Locks."""

    lock_reason: Annotated[tuple[LockReasonOutput, ...], Doc("The locks; none when all is well.")]


@shape
class PrivateIpSetOutput:
    """A private address."""

    private_ip_address: Annotated[str, Doc("The address.")]
    private_dns_name: Annotated[str, Doc("Always empty.")]
    primary: Annotated[bool, Doc("Always true: each interface has one address.")]


@shape
class PrivateIpSetsOutput:
    """Private addresses."""

    private_ip_set: Annotated[tuple[PrivateIpSetOutput, ...], Doc("The addresses.")]


@shape
class Ipv6SetOutput:
    """An IPv6 address."""

    ipv6_address: Annotated[str, Doc("The address.")]
    primary: Annotated[bool, Doc("Whether it is the first.")]


@shape
class Ipv6SetsOutput:
    """IPv6 addresses."""

    ipv6_set: Annotated[tuple[Ipv6SetOutput, ...], Doc("Always empty.")] = ()


@shape
class NetworkInterfaceOutput:
    """A network interface."""

    network_interface_id: Annotated[str, Doc("The ID.")]
    mac_address: Annotated[str, Example("00:16:3e:32:b4:26"), Doc("The MAC address.")]
    primary_ip_address: Annotated[str, Doc("The private address.")]
    type: Annotated[str, Doc("Primary.")]
    private_ip_sets: Annotated[PrivateIpSetsOutput, Doc("Its addresses.")]
    ipv6_sets: Annotated[Ipv6SetsOutput, Doc("Its IPv6 addresses.")]


@shape
class NetworkInterfacesOutput:
    """Network interfaces."""

    network_interface: Annotated[tuple[NetworkInterfaceOutput, ...], Doc("The interfaces: always one.")]


@shape
class CpuOptionsOutput:
    """The CPU."""

    core_count: Annotated[int, Doc("Virtual CPUs.")]
    threads_per_core: Annotated[int, Doc("Always 1.")]
    numa: Annotated[str, Doc("Always empty.")]


@shape
class MetadataOptionsOutput:
    """The metadata service, as the instance sees it."""

    http_endpoint: Annotated[str, Doc("enabled or disabled.")]
    http_tokens: Annotated[str, Doc("optional or required.")]
    http_put_response_hop_limit: Annotated[int, Doc("As it was asked for.")]


@shape
class HibernationOptionsOutput:
    """Hibernation."""

    configured: Annotated[bool, Doc("As it was asked for; instances do not hibernate.")] = False


@shape
class DedicatedHostAttributeOutput:
    """A dedicated host, of which there are none."""

    dedicated_host_cluster_id: Annotated[str, Doc("Always empty.")] = ""
    dedicated_host_id: Annotated[str, Doc("As it was asked for.")] = ""
    dedicated_host_name: Annotated[str, Doc("Always empty.")] = ""


@shape
class DedicatedInstanceAttributeOutput:
    """How the instance stands on a dedicated host."""

    affinity: Annotated[str, Doc("As it was asked for.")] = ""
    tenancy: Annotated[str, Doc("As it was asked for.")] = ""


@shape
class CapacityReservationOutput:
    """A capacity reservation, of which there are none."""

    capacity_reservation_id: Annotated[str, Doc("Always empty.")] = ""
    capacity_reservation_preference: Annotated[str, Doc("Always empty.")] = ""


@shape
class ImageOptionsOutput:
    """What the image was asked to do."""

    login_as_non_root: Annotated[bool, Doc("As it was asked for.")] = False


@shape
class InstanceOutput:
    """One instance."""

    instance_id: InstanceId
    instance_name: Annotated[str, Doc("The name.")]
    description: Annotated[str, Doc("The description.")]
    host_name: Annotated[str, Doc("The host name.")]
    status: Annotated[str, Doc("Pending, Starting, Running, Stopping or Stopped.")]
    image_id: Annotated[str, Doc("The image that the system disk was made of.")]
    instance_type: Annotated[str, Doc("The type.")]
    instance_type_family: Annotated[str, Doc("The type's family.")]
    cpu: Annotated[int, Doc("Virtual CPUs.")]
    memory: Annotated[int, Doc("MiB.")]
    region_id: Annotated[str, Doc("The region.")]
    zone_id: Annotated[str, Doc("The zone.")]
    cluster_id: Annotated[str, Doc("Always empty.")] = ""
    creation_time: Annotated[str, Example("2026-11-23T06:07Z"), Doc("When it was created, UTC.")]
    start_time: Annotated[str, Doc("When it was last started, UTC; empty before the first start.")]
    expired_time: Annotated[str, Doc("Always in the year 2099.")] = _NEVER
    auto_release_time: Annotated[str, Doc("When it is released by itself, UTC; empty when it is not.")]
    stopped_mode: Annotated[str, Doc("KeepCharging or StopCharging while Stopped, else Not-applicable.")]
    os_name: Annotated[
        str, Wire("OSName"), Example("Debian"), Doc("The Platform of the image that the system disk was made of.")
    ]
    os_name_en: Annotated[str, Wire("OSNameEn"), Example("Debian"), Doc("The same as OSName.")]
    os_type: Annotated[str, Wire("OSType"), Doc("linux or windows.")]
    instance_network_type: Annotated[str, Doc("Always vpc.")] = "vpc"
    vpc_attributes: Annotated[VpcAttributesOutput, Doc("The instance in its VPC.")]
    inner_ip_address: Annotated[IpAddressesOutput, Doc("Always empty: every instance is in a VPC.")] = (
        IpAddressesOutput()
    )
    public_ip_address: Annotated[IpAddressesOutput, Doc("The public address, at which the guest's SSH port answers.")]
    eip_address: Annotated[EipAddressOutput, Doc("The elastic address.")]
    rdma_ip_address: Annotated[IpAddressesOutput, Doc("Always empty.")] = IpAddressesOutput()
    network_interfaces: Annotated[NetworkInterfacesOutput, Doc("Network interfaces.")]
    security_group_ids: Annotated[SecurityGroupIdsOutput, Doc("Security groups.")]
    internet_charge_type: Annotated[str, Doc("As it was asked for.")]
    internet_max_bandwidth_in: Annotated[int, Doc("As it was asked for.")]
    internet_max_bandwidth_out: Annotated[int, Doc("As it was asked for.")]
    vlan_id: Annotated[str, Doc("Always empty.")] = ""
    operation_locks: Annotated[OperationLocksOutput, Doc("Locks.")]
    tags: Annotated[TagsOutput, Doc("Tags.")]
    resource_group_id: Annotated[str, Doc("The resource group, or empty.")]
    key_pair_name: Annotated[str, Doc("The SSH key pair, or empty.")]
    deletion_protection: Annotated[bool, Doc("Whether DeleteInstance refuses it.")]
    instance_charge_type: Annotated[str, Doc("As it was asked for.")]
    sale_cycle: Annotated[str, Doc("Always empty.")] = ""
    spot_strategy: Annotated[str, Doc("As it was asked for.")]
    spot_duration: Annotated[int, Doc("As it was asked for.")]
    spot_price_limit: Annotated[float, Doc("As it was asked for.")]
    credit_specification: Annotated[str, Doc("As it was asked for.")]
    io_optimized: Annotated[bool, Doc("Always true.")] = True
    device_available: Annotated[bool, Doc("Whether disks can be attached: always true.")] = True
    serial_number: Annotated[str, Doc("Made of the ID.")]
    cpu_options: Annotated[CpuOptionsOutput, Doc("The CPU.")]
    gpu_amount: Annotated[int, Wire("GPUAmount"), Doc("Always 0.")] = 0
    gpu_spec: Annotated[str, Wire("GPUSpec"), Doc("Always empty.")] = ""
    local_storage_amount: Annotated[int, Doc("Always 0.")] = 0
    local_storage_capacity: Annotated[int, Doc("Always 0.")] = 0
    metadata_options: Annotated[MetadataOptionsOutput, Doc("The metadata service.")]
    hibernation_options: Annotated[HibernationOptionsOutput, Doc("Hibernation.")]
    dedicated_host_attribute: Annotated[DedicatedHostAttributeOutput, Doc("The dedicated host.")]
    dedicated_instance_attribute: Annotated[DedicatedInstanceAttributeOutput, Doc("How it stands there.")]
    ecs_capacity_reservation_attr: Annotated[CapacityReservationOutput, Doc("The capacity reservation.")] = (
        CapacityReservationOutput()
    )
    image_options: Annotated[ImageOptionsOutput, Doc("What the image was asked to do.")]
    deployment_set_id: Annotated[str, Doc("As it was asked for.")]
    deployment_set_group_no: Annotated[int, Doc("As it was asked for.")]
    hpc_cluster_id: Annotated[str, Doc("As it was asked for.")]
    isp: Annotated[str, Wire("ISP"), Doc("As it was asked for.")]
    recyclable: Annotated[bool, Doc("Always false.")] = False


@dataclass(frozen=True, kw_only=True)
class Network:
    """How an instance is joined to its network."""

    card: NetworkInterface | None  #: None of an instance that a damaged record brought back without.
    groups: Sequence[str]
    eip: Eip | None


def draw(
    instance: Instance, kind: InstanceType | None, labels: Sequence[Tag], network: Network, *, is_replacing: bool
) -> InstanceOutput:
    """The answer's view of one instance, of a type that the deployment may not have any more."""
    kind, asked = kind or _UNKNOWN, instance.asked
    is_stopped = instance.status == InstanceStatus.STOPPED
    return InstanceOutput(
        instance_id=instance.id,
        instance_name=instance.name,
        description=instance.description,
        host_name=instance.host_name,
        status=instance.status,
        image_id=instance.image,
        instance_type=instance.instance_type,
        instance_type_family=InstanceType(instance.instance_type, 0, 0).family,
        cpu=kind.cpus,
        memory=kind.memory_mib,
        region_id=instance.region,
        zone_id=instance.zone,
        creation_time=to_minutes_text(instance.created_at),
        start_time="" if instance.started_at is None else to_minutes_text(instance.started_at),
        auto_release_time="" if instance.auto_release_at is None else to_minutes_text(instance.auto_release_at),
        stopped_mode=(instance.stopped_mode or "KeepCharging") if is_stopped else "Not-applicable",
        os_name=instance.system.platform,
        os_name_en=instance.system.platform,
        os_type=instance.system.os_type,
        public_ip_address=_addresses(instance.public_ip),
        **_network(network),
        internet_charge_type=instance.internet_charge_type,
        internet_max_bandwidth_in=instance.bandwidth_in,
        internet_max_bandwidth_out=instance.bandwidth_out,
        operation_locks=OperationLocksOutput(lock_reason=_locks(instance, is_replacing)),
        tags=draw_tags(labels),
        resource_group_id=instance.resource_group,
        key_pair_name=instance.key_pair,
        deletion_protection=instance.deletion_protection,
        instance_charge_type=instance.charge_type,
        serial_number=serial_number(instance),
        cpu_options=CpuOptionsOutput(core_count=kind.cpus, threads_per_core=1, numa=""),
        metadata_options=MetadataOptionsOutput(
            http_endpoint=instance.http_endpoint,
            http_tokens=instance.http_tokens,
            http_put_response_hop_limit=asked.hop_limit,
        ),
        **_asked(asked),
    )


def _asked(asked: Asked) -> dict[str, Any]:
    """What is shown as it was said."""
    return {
        "spot_strategy": asked.spot_strategy,
        "spot_duration": asked.spot_duration,
        "spot_price_limit": asked.spot_price_limit,
        "credit_specification": asked.credit_specification,
        "deployment_set_id": asked.deployment_set_id,
        "deployment_set_group_no": asked.deployment_set_group_no,
        "hpc_cluster_id": asked.hpc_cluster_id,
        "isp": asked.isp,
        "hibernation_options": HibernationOptionsOutput(configured=asked.hibernation_configured),
        "dedicated_host_attribute": DedicatedHostAttributeOutput(dedicated_host_id=asked.dedicated_host_id),
        "dedicated_instance_attribute": DedicatedInstanceAttributeOutput(
            affinity=asked.affinity, tenancy=asked.tenancy
        ),
        "image_options": ImageOptionsOutput(login_as_non_root=asked.login_as_non_root),
    }


def _network(network: Network) -> dict[str, Any]:
    """What is told of interface, groups and elastic address."""
    card, eip = network.card, network.eip
    return {
        "vpc_attributes": VpcAttributesOutput(
            vpc_id=card.vpc if card else "",
            v_switch_id=card.vswitch if card else "",
            private_ip_address=_addresses(card.private_ip if card else ""),
        ),
        "network_interfaces": NetworkInterfacesOutput(network_interface=(_interface(card),) if card else ()),
        "security_group_ids": SecurityGroupIdsOutput(security_group_id=tuple(network.groups)),
        "eip_address": EipAddressOutput()
        if eip is None
        else EipAddressOutput(
            allocation_id=eip.id,
            ip_address=eip.address,
            bandwidth=eip.bandwidth,
            internet_charge_type=eip.internet_charge_type,
            is_support_unassociate=True,
        ),
    }


def _addresses(address: str) -> IpAddressesOutput:
    return IpAddressesOutput(ip_address=(address,) if address else ())


def _interface(card: NetworkInterface) -> NetworkInterfaceOutput:
    address = PrivateIpSetOutput(private_ip_address=card.private_ip, private_dns_name="", primary=True)
    return NetworkInterfaceOutput(
        network_interface_id=card.id,
        mac_address=card.mac,
        primary_ip_address=card.private_ip,
        type="Primary",
        private_ip_sets=PrivateIpSetsOutput(private_ip_set=(address,)),
        ipv6_sets=Ipv6SetsOutput(),
    )


def _locks(instance: Instance, is_replacing: bool) -> tuple[LockReasonOutput, ...]:
    locks = []
    if instance.lock_reason:
        locks.append(LockReasonOutput(lock_reason=instance.lock_reason, lock_msg=""))
    if is_replacing:
        locks.append(LockReasonOutput(lock_reason="replacing", lock_msg="The system disk is being replaced."))
    return tuple(locks)
