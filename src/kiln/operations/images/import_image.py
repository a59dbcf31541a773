"""Create a custom image from one disk image file in a bucket, or from several.

The image ID and a task ID are answered at once. The image is Creating, and
shows the progress, while the files are inspected and copied; then it is
Available and has one snapshot for each disk. What a file claims about itself is
never believed unseen: a file that is damaged, hostile or not of the stated
format makes the image CreateFailed, and DescribeTaskAttribute says why. One that
is compressed, or an OVA of one disk, is unpacked first.

The first DiskDeviceMapping is the system disk, up to 16 more are data disks, and
what is beyond them is ignored. While the task is Processing the image can't be
deleted; CancelTask ends the task and removes the image.
"""

from __future__ import annotations

from typing import Annotated

from kiln.calls.call import Call, Job
from kiln.declare.errors import ApiError
from kiln.declare.ids import new_id
from kiln.declare.operation import Operation
from kiln.declare.rules import Count, Doc, Missing, OneOf, Unordered, Wire
from kiln.declare.shapes import shape
from kiln.declare.system import System
from kiln.ground.values import dataclass
from kiln.operations.errors.images import InvalidBootModeNotSupport
from kiln.operations.errors.regions import InvalidRegionIdNotFoundOfTasks
from kiln.operations.errors.requests import IDEMPOTENT, DryRunSuccess
from kiln.operations.errors.tags import InvalidTagKeyMalformed, QuotaExceedTags
from kiln.operations.errors.tasks import MissingParameterOfTasks
from kiln.operations.images.parts import drafts, intake
from kiln.operations.images.parts.errors import QuotaExceedImage
from kiln.operations.images.parts.intake import DiskDeviceMapping, Intake, Intakes
from kiln.operations.params import (
    DEFAULT_ARCHITECTURE,
    DEFAULT_PLATFORM,
    Architecture,
    Description,
    DetectionStrategy,
    FeaturesInput,
    ImageId,
    ImageName,
    ImportedPlatform,
    RegionId,
    ResourceGroupId,
    RoleName,
    TagInput,
    TaskId,
    to_pairs,
)
from kiln.operations.steps import platforms, resource_groups, transfer
from kiln.operations.steps.resource_groups import InvalidResourceGroupNotFound
from kiln.store import images, tags
from kiln.store.images import Image

_DISKS_MOST = 17


class MissingParameterDiskDeviceMapping(ApiError):
    """No DiskDeviceMapping was sent."""

    code = "MissingParameter.DiskDeviceMapping"
    status = 403
    message = "The specified parameter DiskDeviceMapping is not supplied."


class InvalidImageNameDuplicatedOfImport(ApiError):
    """The account already has an image of that name in the region."""

    code = "InvalidImageName.Duplicated"
    message = "The destination image is exist."


class InvalidOSTypeMalformed(ApiError):
    """OSType is neither linux nor windows, or contradicts Platform."""

    code = "InvalidOSType.Malformed"
    message = "The specified OSType is wrongly formed."


class InvalidLicenseTypeNotSupported(ApiError):
    """LicenseType is none of the documented ones."""

    code = "InvalidLicenseType.NotSupported"
    message = "The specified LicenseType is not supported."


class InvalidBootModeMalformed(ApiError):
    """BootMode is neither BIOS nor UEFI."""

    code = "InvalidBootMode.Malformed"
    message = 'The specified parameter "BootMode" is malformed.'


class ImageCheckUnsupportedWindowsImage(ApiError):
    """DetectionStrategy was sent for a Windows image."""

    code = "ImageCheckUnsupported.WindowsImage"
    status = 403
    message = "Image check is unsupported for windows image."


class InvalidOperationCloudBoxImageImportUnsupported(ApiError):
    """StorageLocationArn was sent; there is no CloudBox here."""

    code = "InvalidOperation.CloudBoxImageImportUnsupported"
    status = 403
    message = "Importing cloud box images is not supported."


class TagKeyDuplication(ApiError):
    """Two tag keys are the same but for upper and lower case."""

    code = "TagKey.Duplication"
    status = 403
    message = "The TagKey has duplication with others, case-insensitive."


@shape
class Input:
    region_id: Annotated[RegionId, Missing(MissingParameterOfTasks)]
    disk_device_mapping: Annotated[
        tuple[DiskDeviceMapping, ...],
        Doc("The image's disks: first the system disk, then up to 16 data disks. More are ignored."),
    ] = ()
    image_name: ImageName | None = None
    description: Description | None = None
    architecture: Architecture = DEFAULT_ARCHITECTURE
    os_type: Annotated[
        str | None,
        Wire("OSType"),
        OneOf(("linux", "windows"), InvalidOSTypeMalformed),
        Doc("linux or windows. What Platform says when it is not given."),
    ] = None
    platform: ImportedPlatform = DEFAULT_PLATFORM
    boot_mode: Annotated[
        str | None,
        OneOf(("BIOS", "UEFI"), InvalidBootModeMalformed),
        Doc("How the image boots. BIOS when it is not given, but UEFI for arm64, which boots by nothing else."),
    ] = None
    license_type: Annotated[
        str, OneOf(("Auto", "Aliyun", "BYOL"), InvalidLicenseTypeNotSupported), Doc("Whose licence it is.")
    ] = "Auto"
    role_name: RoleName | None = None
    detection_strategy: DetectionStrategy | None = None
    features: FeaturesInput | None = None
    resource_group_id: ResourceGroupId | None = None
    storage_location_arn: Annotated[str | None, Doc("For CloudBox; refused, since there is none.")] = None
    tag: Annotated[tuple[TagInput, ...], Unordered(), Count(20, QuotaExceedTags), Doc("Tags of the image.")] = ()


@shape
class Output:
    image_id: ImageId
    region_id: RegionId
    task_id: TaskId


@dataclass(frozen=True, kw_only=True)
class Plan:
    image: Image
    disks: tuple[Intake, ...]
    tags: dict[str, str]


def check(call: Call, p: Input) -> Plan:
    if not p.disk_device_mapping:
        raise MissingParameterDiskDeviceMapping
    if p.storage_location_arn is not None:
        raise InvalidOperationCloudBoxImageImportUnsupported(storage_location_arn=p.storage_location_arn)
    keys = [(tag.key or "").lower() for tag in p.tag]
    if len(set(keys)) < len(keys):
        raise TagKeyDuplication
    pairs = to_pairs(p.tag)
    disks = tuple(intake.choose(call, p.disk_device_mapping[:_DISKS_MOST]))
    image = _describe(call, p, disks[0])
    _check_image(call, p, image)
    return Plan(image=image, disks=disks, tags=pairs)


def commit(call: Call, plan: Plan) -> Output:
    image = plan.image
    images.images.insert(call.tx, image)
    tags.add(call.tx, call.account, "image", image.id, plan.tags)
    facts = intake.record(call, image, plan.disks)
    lane = transfer.pick_lane(call)
    call.enqueue(image.id, facts, region=image.region, lane=lane, task_id=image.task, listed=True)
    return Output(image_id=image.id, region_id=image.region, task_id=image.task)


def carry_out(job: Job[Intakes]) -> None:
    intake.bring_in(job)
    intake.publish(job)


def give_up(job: Job[Intakes], error: ApiError) -> None:
    intake.take_back(job, error)


def _describe(call: Call, p: Input, system: Intake) -> Image:
    features = p.features or FeaturesInput()
    return drafts.new_image(
        call,
        new_id("image"),
        region=p.region_id,
        name=p.image_name,
        description=p.description,
        resource_group=p.resource_group_id,
        system=System(
            platform=p.platform,
            architecture=p.architecture,
            os_type=p.os_type or platforms.os_type_of(p.platform),
            boot_mode=p.boot_mode or platforms.default_boot_mode(p.architecture),
            imds_support=features.imds_support or "v1",
            nvme_support=features.nvme_support or "unsupported",
            license_type=p.license_type,
        ),
        size_gib=system.expected_gib,
        source=f"{system.bucket}/{system.object}",
    )


def _check_image(call: Call, p: Input, image: Image) -> None:
    """Rules that concern the image as a whole."""
    system = image.system
    if platforms.is_windows(system.platform) and system.os_type != "windows":
        raise InvalidOSTypeMalformed(os_type=system.os_type, platform=system.platform)
    if not platforms.can_boot(system.architecture, system.boot_mode):
        raise InvalidBootModeNotSupport(boot_mode=system.boot_mode, architecture=system.architecture)
    if p.detection_strategy and system.os_type == "windows":
        raise ImageCheckUnsupportedWindowsImage
    resource_groups.check_there(call, p.resource_group_id)
    if image.name and images.is_name_taken(call.tx, image.account, image.region, image.name):
        raise InvalidImageNameDuplicatedOfImport(image_name=image.name)
    limit = call.deployment.quotas.images
    owned = {"account": image.account, "region": image.region}
    key = ("images", image.account, image.region)
    if call.ports.quota_watch.is_reached(key, limit, lambda: images.images.count(call.tx, **owned)):
        raise QuotaExceedImage(limit=limit)


import_image = Operation(
    input=Input,
    output=Output,
    check=check,
    commit=commit,
    carry_out=carry_out,
    facts=Intakes,
    give_up=give_up,
    idempotent=IDEMPOTENT,
    dry_run=DryRunSuccess,
    unknown_region=InvalidRegionIdNotFoundOfTasks,
    leads_to=("Creating", "Available"),
    errors=(
        MissingParameterDiskDeviceMapping,
        InvalidOperationCloudBoxImageImportUnsupported,
        *intake.ERRORS,
        InvalidOSTypeMalformed,
        InvalidBootModeNotSupport,
        ImageCheckUnsupportedWindowsImage,
        InvalidResourceGroupNotFound,
        InvalidImageNameDuplicatedOfImport,
        InvalidTagKeyMalformed,
        TagKeyDuplication,
        QuotaExceedImage,
    ),
)
