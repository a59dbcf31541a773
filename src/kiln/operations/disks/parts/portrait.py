"""A disk as answers show it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from kiln.declare.rules import Doc, Example, Wire
from kiln.declare.shapes import shape
from kiln.ground.clock import to_seconds_text
from kiln.operations.params import DiskId, InstanceId, RegionId, TagsOutput, draw_tags
from kiln.operations.steps.drives import serial_of
from kiln.store.disks import Disk
from kiln.store.tags import Tag

#: What the real service says of a disk that nobody pays for in advance.
_NEVER = "2999-09-08T16:00Z"


@shape
class AttachmentOutput:
    """That an instance has the disk."""

    instance_id: InstanceId
    device: Annotated[str, Example("/dev/xvdb"), Doc("The device name.")]
    attached_time: Annotated[str, Doc("Since when.")]


@shape
class AttachmentsOutput:
    """The instance that has the disk, if any."""

    attachment: Annotated[tuple[AttachmentOutput, ...], Doc("One, or none.")]


@shape
class MountInstancesOutput:
    """The same under an older name."""

    mount_instance: Annotated[tuple[AttachmentOutput, ...], Doc("One, or none.")]


@shape
class OperationLockOutput:
    """A lock."""

    lock_reason: Annotated[str, Doc("Why.")]


@shape
class OperationLocksOutput:
    """Locks."""

    operation_lock: Annotated[tuple[OperationLockOutput, ...], Doc("Always none.")]


@shape
class PlacementOutput:
    """Where a disk of several zones is."""

    zone_ids: Annotated[str, Doc("Always empty.")]


@shape
class DiskOutput:
    """One disk."""

    disk_id: DiskId
    disk_name: Annotated[str, Doc("The name.")]
    description: Annotated[str, Doc("The description.")]
    status: Annotated[str, Doc("Creating, Available, Attaching, In_use, Detaching or ReIniting.")]
    type: Annotated[str, Doc("system or data.")]
    category: Annotated[str, Doc("The category.")]
    performance_level: Annotated[str, Doc("Of a cloud_essd disk, as asked for.")]
    size: Annotated[int, Example("20"), Doc("GiB.")]
    serial_number: Annotated[str, Doc("What the guest sees as the disk's serial number.")]
    region_id: RegionId
    zone_id: Annotated[str, Doc("The zone.")]
    instance_id: Annotated[str, Doc("The instance that has it, or empty.")]
    device: Annotated[str, Doc("The device name, as /dev/xvdX; empty when nothing has it.")]
    attachments: Annotated[AttachmentsOutput, Doc("The instance that has it, if any.")]
    mount_instances: Annotated[MountInstancesOutput, Doc("The same under an older name.")]
    mount_instance_num: Annotated[int, Doc("0 or 1.")]
    creation_time: Annotated[str, Example("2026-11-23T06:07:05Z"), Doc("When it was made.")]
    attached_time: Annotated[str, Doc("When it was attached last, or empty.")]
    detached_time: Annotated[str, Doc("When it was detached last, or empty.")]
    image_id: Annotated[str, Doc("The image that it was made of, or empty.")]
    source_snapshot_id: Annotated[str, Doc("The snapshot that it was made of, or empty.")]
    source_disk_id: Annotated[str, Doc("Always empty.")]
    delete_with_instance: Annotated[bool, Doc("Whether it goes when its instance is released.")]
    portable: Annotated[bool, Doc("Whether it can be detached.")]
    delete_auto_snapshot: Annotated[bool, Doc("Whether its automatic snapshots go with it.")]
    enable_auto_snapshot: Annotated[bool, Doc("Whether automatic snapshots may be taken of it.")]
    enable_automated_snapshot_policy: Annotated[bool, Doc("Whether it has a policy for automatic snapshots.")]
    auto_snapshot_policy_id: Annotated[str, Doc("That policy, or empty.")]
    encrypted: Annotated[bool, Doc("Whether it is encrypted.")]
    kms_key_id: Annotated[str, Wire("KMSKeyId"), Doc("The key that it is encrypted with, or empty.")]
    disk_charge_type: Annotated[str, Doc("Always PostPaid.")]
    expired_time: Annotated[str, Doc("Never.")]
    multi_attach: Annotated[str, Doc("Always Disabled.")]
    bursting_enabled: Annotated[bool, Doc("As asked for.")]
    provisioned_iops: Annotated[int, Doc("As asked for; nothing is limited.")]
    iops: Annotated[int, Wire("IOPS"), Doc("Always 0: not limited.")]
    iops_read: Annotated[int, Wire("IOPSRead"), Doc("Always 0.")]
    iops_write: Annotated[int, Wire("IOPSWrite"), Doc("Always 0.")]
    throughput: Annotated[int, Doc("Always 0: not limited.")]
    throughput_read: Annotated[int, Doc("Always 0.")]
    throughput_write: Annotated[int, Doc("Always 0.")]
    operation_locks: Annotated[OperationLocksOutput, Doc("Always none.")]
    placement: Annotated[PlacementOutput, Doc("Always empty.")]
    product_code: Annotated[str, Doc("Always empty.")]
    resource_group_id: Annotated[str, Doc("The resource group, or empty.")]
    storage_cluster_id: Annotated[str, Doc("As asked for.")]
    storage_set_id: Annotated[str, Doc("As asked for.")]
    storage_set_partition_number: Annotated[int, Doc("As asked for.")]
    bdf_id: Annotated[str, Doc("Always empty.")]
    tags: Annotated[TagsOutput, Doc("Its tags.")]


@shape
class DisksOutput:
    """Disks."""

    disk: Annotated[tuple[DiskOutput, ...], Doc("The disks.")]


def draw(disk: Disk, tagged: Sequence[Tag]) -> DiskOutput:
    """One disk with its tags."""
    attachments = _attachments(disk)
    return DiskOutput(
        disk_id=disk.id,
        disk_name=disk.name,
        description=disk.description,
        status=disk.status,
        type=disk.type,
        category=disk.category,
        performance_level=disk.performance_level,
        size=disk.size_gib,
        serial_number=serial_of(disk.id),
        region_id=disk.region,
        zone_id=disk.zone,
        instance_id=disk.instance or "",
        device=disk.device,
        attachments=AttachmentsOutput(attachment=attachments),
        mount_instances=MountInstancesOutput(mount_instance=attachments),
        mount_instance_num=len(attachments),
        creation_time=to_seconds_text(disk.created_at),
        attached_time=_to_text(disk.attached_at),
        detached_time=_to_text(disk.detached_at),
        image_id=disk.image,
        source_snapshot_id=disk.source_snapshot,
        source_disk_id="",
        delete_with_instance=disk.delete_with_instance,
        portable=disk.portable,
        delete_auto_snapshot=disk.drops_auto_snapshots,
        enable_auto_snapshot=not disk.ignores_policy,
        enable_automated_snapshot_policy=bool(disk.snapshot_policy),
        auto_snapshot_policy_id=disk.snapshot_policy,
        encrypted=bool(disk.kms_key),
        kms_key_id=disk.kms_key,
        disk_charge_type="PostPaid",
        expired_time=_NEVER,
        multi_attach="Disabled",
        bursting_enabled=disk.asked.bursting_enabled,
        provisioned_iops=disk.asked.provisioned_iops,
        iops=0,
        iops_read=0,
        iops_write=0,
        throughput=0,
        throughput_read=0,
        throughput_write=0,
        operation_locks=OperationLocksOutput(operation_lock=()),
        placement=PlacementOutput(zone_ids=""),
        product_code="",
        resource_group_id=disk.resource_group,
        storage_cluster_id=disk.asked.storage_cluster_id,
        storage_set_id=disk.asked.storage_set_id,
        storage_set_partition_number=disk.asked.storage_set_partition_number,
        bdf_id="",
        tags=draw_tags(tagged),
    )


def _attachments(disk: Disk) -> tuple[AttachmentOutput, ...]:
    if disk.instance is None:
        return ()
    since = _to_text(disk.attached_at)
    return (AttachmentOutput(instance_id=disk.instance, device=disk.device, attached_time=since),)


def _to_text(when: float | None) -> str:
    return "" if when is None else to_seconds_text(when)
