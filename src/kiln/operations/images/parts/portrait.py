"""How an image looks in an answer: what DescribeImages and DescribeImageFromFamily share.

Source of the fields: ecs-api.md 6. Every field is always there, and every
container is an object, because clients reach into them without asking
(clients.md 2, point 9). Knows no filters and no SQL.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache, lru_cache
from typing import Annotated, Any

from kiln.declare.rules import Doc, Example, Wire
from kiln.declare.shapes import keep, shape
from kiln.declare.states import USABLE
from kiln.declare.system import System
from kiln.ground.clock import to_seconds_text
from kiln.operations.params import TagsOutput, draw_tags
from kiln.store.images import Album, Image, ImageDisk
from kiln.store.tags import Tag


@shape
class DiskDeviceMappingOutput:
    """One disk of an image."""

    device: Annotated[str, Example("/dev/xvda"), Doc("The device name, as /dev/xvdX.")]
    encrypted: Annotated[bool, Doc("Always false: there is no encryption.")]
    format: Annotated[str, Example("QCOW2"), Doc("The format of the file that it was imported from, or empty.")]
    import_oss_bucket: Annotated[str, Wire("ImportOSSBucket"), Doc("The bucket it was imported from, or empty.")]
    import_oss_object: Annotated[str, Wire("ImportOSSObject"), Doc("The object it was imported from, or empty.")]
    progress: Annotated[str, Doc("Of a copy task; empty, since there are none.")]
    remain_time: Annotated[int, Doc("Of a copy task; 0, since there are none.")]
    size: Annotated[str, Example("40"), Doc("GiB, as text.")]
    snapshot_id: Annotated[str, Doc("The snapshot that holds its bytes; empty for a blank disk.")]
    type: Annotated[str, Example("system"), Doc("system or data.")]


@shape
class DiskDeviceMappingsOutput:
    """The disks of an image."""

    disk_device_mapping: Annotated[tuple[DiskDeviceMappingOutput, ...], Doc("The disks, the system disk first.")]


@shape
class FindingOutput:
    """One thing that the detection found."""

    name: Annotated[str, Doc("What was looked at.")]
    risk_code: Annotated[str, Doc("The code of the risk.")]
    risk_level: Annotated[str, Doc("How grave it is.")]
    value: Annotated[str, Doc("What was found.")]


@shape
class FindingsOutput:
    """What the detection found."""

    item: Annotated[tuple[FindingOutput, ...], Doc("The findings.")]


@shape
class DetectionOptionsOutput:
    """The detection of an image."""

    items: Annotated[FindingsOutput, Doc("The findings: always none.")]
    status: Annotated[str, Doc("Always empty, which is what an image has that was not looked at.")]


@shape
class FeaturesOutput:
    """What an image can do."""

    cpu_online_downgrade: Annotated[str, Doc("Always unsupported.")]
    cpu_online_upgrade: Annotated[str, Doc("Always unsupported.")]
    imds_support: Annotated[str, Doc("v1 or v2.")]
    memory_online_downgrade: Annotated[str, Doc("Always unsupported.")]
    memory_online_upgrade: Annotated[str, Doc("Always unsupported.")]
    nvme_support: Annotated[str, Doc("supported or unsupported.")]


@shape
class SecureBootOptionsOutput:
    """Secure boot of an image."""

    secure_boot_support: Annotated[str, Doc("supported, unsupported, or empty when it was not said.")]


@shape
class ImageOutput:
    """One image."""

    architecture: Annotated[str, Doc("i386, x86_64 or arm64.")]
    boot_mode: Annotated[str, Doc("BIOS, UEFI or UEFI-Preferred.")]
    creation_time: Annotated[str, Example("2026-11-23T06:07:05Z"), Doc("When it was asked for.")]
    description: Annotated[str, Doc("The description.")]
    detection_options: Annotated[DetectionOptionsOutput, Doc("The detection.")]
    disk_device_mappings: Annotated[DiskDeviceMappingsOutput, Doc("The disks.")]
    features: Annotated[FeaturesOutput, Doc("What it can do.")]
    image_family: Annotated[str, Doc("The family.")]
    image_id: Annotated[str, Doc("The ID.")]
    image_name: Annotated[str, Doc("The name.")]
    image_owner_alias: Annotated[str, Doc("Always self.")]
    image_owner_id: Annotated[int, Doc("The account.")]
    image_version: Annotated[str, Doc("The version.")]
    is_copied: Annotated[bool, Doc("Always false.")]
    is_public: Annotated[bool, Doc("Always false.")]
    is_self_shared: Annotated[str, Doc("Always empty: nothing is shared.")]
    is_subscribed: Annotated[bool, Doc("Always false.")]
    is_support_cloudinit: Annotated[bool, Doc("Always true.")]
    is_support_io_optimized: Annotated[bool, Doc("Always true.")]
    license_type: Annotated[str, Doc("The licence type that was given.")]
    login_as_non_root_supported: Annotated[bool, Doc("Always false.")]
    os_name: Annotated[str, Wire("OSName"), Example("Debian 64位"), Doc("The system's name in Chinese.")]
    os_name_en: Annotated[str, Wire("OSNameEn"), Example("Debian 64 bit"), Doc("The system's name in English.")]
    os_type: Annotated[str, Wire("OSType"), Doc("linux or windows.")]
    platform: Annotated[str, Doc("The operating system's release.")]
    product_code: Annotated[str, Doc("Always empty: there is no marketplace.")]
    progress: Annotated[str, Example("37%"), Doc("How much of it is done.")]
    resource_group_id: Annotated[str, Doc("The resource group.")]
    secure_boot_options: Annotated[SecureBootOptionsOutput, Doc("Secure boot.")]
    size: Annotated[int, Doc("GiB of the system disk.")]
    status: Annotated[str, Doc("Creating, Available, Deprecated or CreateFailed.")]
    supplier_name: Annotated[str, Doc("Always empty: there is no marketplace.")]
    tags: Annotated[TagsOutput, Doc("The tags.")]
    usable: Annotated[bool, Doc("Whether instances can be made of it now: when it is Available or Deprecated.")]
    usage: Annotated[str, Doc("instance when some instance was made of it, else none.")]


_NOT_LOOKED_AT = keep(DetectionOptionsOutput(items=FindingsOutput(item=()), status=""))


def draw(album: Album) -> tuple[ImageOutput, ...]:
    """The images as their owner sees them."""
    return tuple(_draw(i, album.disks[i.id], album.tags[i.id], is_used=i.id in album.used) for i in album.images)


def _draw(image: Image, disks: Sequence[ImageDisk], tags: Sequence[Tag], *, is_used: bool) -> ImageOutput:
    return ImageOutput(
        **_draw_system(image.system),
        creation_time=to_seconds_text(image.created_at),
        description=image.description,
        disk_device_mappings=DiskDeviceMappingsOutput(disk_device_mapping=tuple(_draw_disk(disk) for disk in disks)),
        image_family=image.family,
        image_id=image.id,
        image_name=image.name,
        image_owner_id=int(image.account),
        image_version=image.version,
        progress=f"{image.progress}%",
        resource_group_id=image.resource_group,
        size=image.size_gib,
        status=image.status,
        tags=draw_tags(tags),
        usable=image.status in USABLE,
        usage="instance" if is_used else "none",
    )


def _draw_disk(disk: ImageDisk) -> DiskDeviceMappingOutput:
    return DiskDeviceMappingOutput(
        device=disk.device,
        encrypted=False,
        format=disk.format,
        import_oss_bucket=disk.bucket,
        import_oss_object=disk.object,
        progress="",
        remain_time=0,
        size=str(disk.size_gib),
        snapshot_id=disk.snapshot,
        type=disk.type,
    )


# There are few different ones of these parts, and making them for each image takes a third of a long list's time.


@lru_cache(maxsize=1024)
def _draw_system(system: System) -> Mapping[str, Any]:
    """What images of such a system, and all images, have in common."""
    bits = "32" if system.architecture == "i386" else "64"
    return {
        "architecture": system.architecture,
        "boot_mode": system.boot_mode,
        "detection_options": _NOT_LOOKED_AT,
        "features": _draw_features(system.imds_support, system.nvme_support),
        "image_owner_alias": "self",
        "is_copied": False,
        "is_public": False,
        "is_self_shared": "",
        "is_subscribed": False,
        "is_support_cloudinit": True,
        "is_support_io_optimized": True,
        "license_type": system.license_type,
        "login_as_non_root_supported": False,
        "os_name": f"{system.platform} {bits}位",
        "os_name_en": f"{system.platform} {bits} bit",
        "os_type": system.os_type,
        "platform": system.platform,
        "product_code": "",
        "secure_boot_options": _draw_secure_boot(system.secure_boot),
        "supplier_name": "",
    }


@cache
def _draw_features(imds_support: str, nvme_support: str) -> FeaturesOutput:
    features = FeaturesOutput(
        cpu_online_downgrade="unsupported",
        cpu_online_upgrade="unsupported",
        imds_support=imds_support,
        memory_online_downgrade="unsupported",
        memory_online_upgrade="unsupported",
        nvme_support=nvme_support,
    )
    return keep(features)


@cache
def _draw_secure_boot(support: str) -> SecureBootOptionsOutput:
    return keep(SecureBootOptionsOutput(secure_boot_support=support))
