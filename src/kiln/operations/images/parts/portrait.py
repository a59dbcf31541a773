"""How an image looks in an answer: what DescribeImages and DescribeImageFromFamily share.

Source of the fields: ecs-api.md 6. Every field is always there, and every
container is an object, because clients reach into them without asking
(clients.md 2, point 9). Knows no filters and no SQL.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, lru_cache
from typing import Annotated, Any

from kiln.declare.rules import Doc, Example, Wire
from kiln.declare.shapes import keep, shape
from kiln.declare.states import USABLE, ImageStatus
from kiln.declare.system import System
from kiln.ground.clock import to_seconds_text
from kiln.operations.params import TagsOutput, draw_tags
from kiln.store.images import Album, Image, ImageDisk


@shape
class DiskDeviceMappingOutput:
    """One disk of an image."""

    device: Annotated[str, Example("/dev/xvda"), Doc("The device name, as /dev/xvdX.")]
    encrypted: Annotated[bool, Doc("Whether it is encrypted.")]
    format: Annotated[str, Example("QCOW2"), Doc("The format of the file that it was imported from, or empty.")]
    import_oss_bucket: Annotated[str, Wire("ImportOSSBucket"), Doc("The bucket it was imported from, or empty.")]
    import_oss_object: Annotated[str, Wire("ImportOSSObject"), Doc("The object it was imported from, or empty.")]
    progress: Annotated[str, Example("50%"), Doc("How much of a copy that is Creating is done; else empty.")]
    remain_time: Annotated[
        int, Doc("Seconds until a copy that is Creating is done, which is 1 at most; 0 for every other image.")
    ]
    size: Annotated[str, Example("40"), Doc("GiB, as text.")]
    snapshot_id: Annotated[
        str, Doc("The snapshot that holds its bytes; empty for a blank disk, and of another's image.")
    ]
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
    image_owner_alias: Annotated[str, Doc("self for the caller's own, others for one that is shared with the caller.")]
    image_owner_id: Annotated[int, Doc("The account.")]
    image_version: Annotated[str, Doc("The version.")]
    is_copied: Annotated[bool, Doc("Whether CopyImage made it.")]
    is_public: Annotated[bool, Doc("Always false.")]
    is_self_shared: Annotated[str, Doc("True when the caller shares it with other accounts, else empty.")]
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
    usage: Annotated[
        str, Doc("instance when some instance was made of it (of another's image: the caller's), else none.")
    ]


_NOT_LOOKED_AT = keep(DetectionOptionsOutput(items=FindingsOutput(item=()), status=""))


def draw(album: Album, account: str) -> tuple[ImageOutput, ...]:
    """The images as *account* sees them; of others' the album holds what it may see (``store.images.as_received``)."""
    return tuple(_draw(image, album, is_own=image.account == account) for image in album.images)


def _draw(image: Image, album: Album, *, is_own: bool) -> ImageOutput:
    told = _tell_copy(image)
    return ImageOutput(
        **_draw_system(image.system),
        creation_time=to_seconds_text(image.created_at),
        description=image.description,
        disk_device_mappings=DiskDeviceMappingsOutput(
            disk_device_mapping=tuple(_draw_disk(disk, told) for disk in album.disks[image.id])
        ),
        image_family=image.family,
        image_id=image.id,
        image_name=image.name,
        image_owner_alias="self" if is_own else "others",
        image_owner_id=int(image.account),
        image_version=image.version,
        is_copied=image.is_copy,
        is_self_shared="True" if image.id in album.shared else "",
        progress=f"{image.progress}%",
        resource_group_id=image.resource_group,
        size=image.size_gib,
        status=image.status,
        tags=draw_tags(album.tags[image.id]),
        usable=image.status in USABLE,
        usage="instance" if image.id in album.used else "none",
    )


def _tell_copy(image: Image) -> tuple[str, int]:
    """How far the copying of each disk is, and how many seconds it takes; nothing unless it is under way."""
    return (f"{image.progress}%", 1) if image.is_copy and image.status == ImageStatus.CREATING else ("", 0)


def _draw_disk(disk: ImageDisk, told: tuple[str, int]) -> DiskDeviceMappingOutput:
    return DiskDeviceMappingOutput(
        device=disk.device,
        encrypted=bool(disk.kms_key),
        format=disk.format,
        import_oss_bucket=disk.bucket,
        import_oss_object=disk.object,
        progress=told[0],
        remain_time=told[1],
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
        "is_public": False,
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
