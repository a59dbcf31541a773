"""Create a custom image from an instance, from snapshots and blank disks, or from one system disk's snapshot.

The image ID is answered at once. The image is Creating, with its progress,
until everything that it stands on is captured; then it is Available, and
RunInstances and ReplaceSystemDisk can use it. No bytes are copied, and an image
of snapshots, where there is nothing left to do, is Available with the answer.

Of the three sources InstanceId wins over DiskDeviceMapping, and that over
SnapshotId; what loses is ignored. From an instance, running or stopped, one new
snapshot is taken of each disk, all at one instant; where the guest agent
answers, the guest's file systems are held still meanwhile. The snapshots stay
when the image is deleted, and cannot be deleted before it.
"""

from __future__ import annotations

from typing import Annotated

from kiln.calls.call import Call, Job
from kiln.calls.errors import ServiceUnavailablePoolDamaged
from kiln.declare.errors import ApiError
from kiln.declare.ids import new_id
from kiln.declare.operation import Idempotence, Operation
from kiln.declare.rules import Count, Doc, Example, More, OneOf, Text, Unordered
from kiln.declare.shapes import shape
from kiln.declare.states import InstanceStatus
from kiln.declare.system import System
from kiln.ground.killpoints import reach
from kiln.ground.values import dataclass
from kiln.operations.errors.images import InvalidBootModeNotSupport
from kiln.operations.errors.instances import InvalidInstanceIdNotFound, InvalidInstanceNotFoundSystemDisk
from kiln.operations.errors.requests import InvalidClientTokenMalformed
from kiln.operations.errors.tags import DuplicateTagKey, InvalidTagKeyMalformed, QuotaExceedTags
from kiln.operations.images.parts import drafts, sources
from kiln.operations.images.parts.errors import InvalidImageNameDuplicated, QuotaExceedImage
from kiln.operations.images.parts.sources import DiskDeviceMapping, SourceDisk
from kiln.operations.params import (
    DEFAULT_ARCHITECTURE,
    DEFAULT_PLATFORM,
    Architecture,
    BootMode,
    Description,
    DetectionStrategy,
    FeaturesInput,
    ImageFamily,
    ImageId,
    ImageName,
    InstanceId,
    Platform,
    RegionId,
    ResourceGroupId,
    SnapshotId,
    TagInput,
    to_pairs,
)
from kiln.operations.steps import capture, platforms, resource_groups
from kiln.operations.steps.capture import Capture, CaptureFacts
from kiln.operations.steps.locks import check_unlocked
from kiln.operations.steps.resource_groups import InvalidResourceGroupNotFound
from kiln.operations.steps.whole_layers import check_whole
from kiln.store import images, tags
from kiln.store.database import Transaction
from kiln.store.disks import Disk, disks
from kiln.store.images import Image, ImageDisk
from kiln.store.instances import instances


class IncorrectInstanceStatusOfImage(ApiError):
    """The instance is neither Running nor Stopped."""

    code = "IncorrectInstanceStatus"
    message = "The current status of the instance does not support this operation."


class IncorrectInstanceStatusNeedRestart(ApiError):
    """A disk was attached while the instance was Stopped, and the instance has not run since."""

    code = "IncorrectInstanceStatus.NeedRestart"
    status = 403
    message = "The instance needs to be restarted after adding a disk in a shutdown status."


class InstanceLockedForSecurityOfImage(ApiError):
    """The instance is locked for security reasons."""

    code = "InstanceLockedForSecurity"
    message = "The specified operation is denied as your instance is locked for security reasons."


class MissingParameterSource(ApiError):
    """None of the three sources was given."""

    code = "MissingParameter"
    message = (
        "The input parameter SnapshotId or InstanceId or DiskDeviceMapping that is mandatory for processing this "
        "request is not supplied."
    )


class InvalidParameterMappings(ApiError):
    """More than one system disk and 16 data disks."""

    code = "InvalidParameter"
    message = 'The specified parameter "DiskDeviceMapping" is not valid: {rule}.'


class InvalidImageVersionMalformed(ApiError):
    """The image version is too long."""

    code = "InvalidImageVersion.Malformed"
    message = "The specified ImageVersion is wrongly formed."


class ImageQuotaExceedImageFamily(ApiError):
    """The family has as many images as it may."""

    code = "ImageQuotaExceed.ImageFamily"
    message = "The specified image family exceeds the maximum number of images for one image family."


class ImageFamilyQuotaExceed(ApiError):
    """The account has as many families in the region as it may."""

    code = "ImageFamilyQuotaExceed"
    message = "The number of image families exceeds the limit in the region."


class InvalidParameterSecureBoot(ApiError):
    """SecureBootOptions is malformed, or the image does not boot by UEFI."""

    code = "InvalidParameter.SecureBootSupport"
    message = "The specified parameter SecureBootOptions.SecureBootSupport is not supported."


class IdempotenceParamNotMatch(ApiError):
    """The ClientToken was used before with other parameters."""

    code = "IdempotenceParamNotMatch"
    message = "Request uses a client token in a previous request but is not identical to that request."


@shape
class SecureBootOptions:
    """Whether the image supports secure boot."""

    secure_boot_support: Annotated[
        str | None,
        OneOf(("supported", "unsupported"), InvalidParameterSecureBoot),
        Doc("Only with a BootMode of UEFI or UEFI-Preferred."),
    ] = None


_INHERITED = More("Needed where the system disk is made of a data disk's snapshot; inherited otherwise.")


@shape
class Input:
    region_id: RegionId
    instance_id: Annotated[InstanceId | None, Doc("All disks of the instance become the image.")] = None
    disk_device_mapping: Annotated[
        tuple[DiskDeviceMapping, ...],
        Count(17, InvalidParameterMappings),
        Doc("The image's disks, one by one: a system disk and up to 16 data disks."),
    ] = ()
    snapshot_id: Annotated[SnapshotId | None, Doc("A system disk's snapshot, which alone becomes the image.")] = None
    image_name: ImageName | None = None
    image_family: ImageFamily | None = None
    image_version: Annotated[
        str | None, Text(1, 128, InvalidImageVersionMalformed), Example("2017011017"), Doc("A version, free text.")
    ] = None
    description: Description | None = None
    platform: Annotated[Platform | None, _INHERITED] = None
    architecture: Annotated[Architecture | None, _INHERITED] = None
    boot_mode: Annotated[BootMode | None, More("Inherited from the source when it is not given.")] = None
    features: FeaturesInput | None = None
    secure_boot_options: SecureBootOptions | None = None
    detection_strategy: DetectionStrategy | None = None
    resource_group_id: ResourceGroupId | None = None
    tag: Annotated[tuple[TagInput, ...], Unordered(), Count(20, QuotaExceedTags), Doc("Tags of the image.")] = ()


@shape
class Output:
    image_id: ImageId


@dataclass(frozen=True, kw_only=True)
class Plan:
    image: Image
    disks: tuple[SourceDisk, ...]
    captures: tuple[Capture, ...]  #: From an instance: one for each of ``disks``.
    tags: dict[str, str]


def check(call: Call, p: Input) -> Plan:
    pairs = to_pairs(p.tag)
    # Before the source: a name that is taken stays so, while a source may be free in a moment.
    if p.image_name and images.is_name_taken(call.tx, call.account, p.region_id, p.image_name):
        raise InvalidImageNameDuplicated(image_name=p.image_name)
    resource_groups.check_there(call, p.resource_group_id)
    image_id = new_id("image")
    captures: tuple[Capture, ...] = ()
    if p.instance_id is not None:
        captures = _from_instance(call, p, p.instance_id, image_id)
        chosen = [_to_source(c) for c in captures]
        source = p.instance_id
    elif p.disk_device_mapping:
        chosen = sources.from_mappings(call, p.region_id, p.disk_device_mapping)
        source = chosen[0].snapshot.id if chosen[0].snapshot else ""
    elif p.snapshot_id is not None:
        chosen = sources.from_snapshot(call, p.region_id, p.snapshot_id)
        source = p.snapshot_id
    else:
        raise MissingParameterSource
    image = _describe(call, p, image_id, chosen[0], source)
    _check_image(call, image)
    if not captures:
        check_whole(call, [disk.snapshot for disk in chosen])
    return Plan(image=image, disks=tuple(chosen), captures=captures, tags=pairs)


def commit(call: Call, plan: Plan) -> Output:
    # Of snapshots there is nothing left to do.
    image = plan.image if plan.captures else images.published(plan.image)
    images.images.insert(call.tx, image)
    images.image_disks.insert(call.tx, *(_to_row(image, n, disk) for n, disk in enumerate(plan.disks)))
    tags.add(call.tx, call.account, "image", image.id, plan.tags)
    if plan.captures:
        facts = capture.record(call, image.task, plan.captures)
        lane = facts.instance
        call.enqueue(image.id, facts, region=image.region, lane=lane, task_id=image.task)
    return Output(image_id=image.id)


def carry_out(job: Job[CaptureFacts]) -> None:
    consistency = capture.freeze(job)

    def publish(tx: Transaction) -> None:
        capture.settle(tx, job, consistency)
        images.images.update(tx, {"consistency": consistency}, id=job.task.resource)
        images.publish(tx, job.task.resource)
        job.finish(tx)

    reach("create_image.captured")
    job.write(publish)
    reach("create_image.published")


def give_up(job: Job[CaptureFacts], error: ApiError) -> None:
    def tell(tx: Transaction) -> None:
        images.fail(tx, job.task.resource, error.code, str(error))

    if capture.must_complete(job, tell):
        carry_out(job)
        return

    def fail(tx: Transaction) -> None:
        capture.abandon(tx, job, error)
        tell(tx)

    job.write(fail)


def _from_instance(call: Call, p: Input, instance_id: str, image_id: str) -> tuple[Capture, ...]:
    instance = call.the(instances, instance_id, p.region_id, InvalidInstanceIdNotFound)
    check_unlocked(instance, InstanceLockedForSecurityOfImage)
    if instance.status not in (InstanceStatus.RUNNING, InstanceStatus.STOPPED):
        raise IncorrectInstanceStatusOfImage(instance_id=instance_id, status=instance.status)
    attached = disks.all(call.tx, instance=instance_id)
    system = [d for d in attached if d.type == "system"]
    if not system:
        raise InvalidInstanceNotFoundSystemDisk(instance_id=instance_id)
    if instance.status == InstanceStatus.STOPPED and any(d.awaits_restart for d in attached):
        raise IncorrectInstanceStatusNeedRestart(instance_id=instance_id)
    capture.check_capturable(call, p.region_id, attached)
    ordered = system + sorted((d for d in attached if d.type == "data"), key=lambda d: d.device)
    return tuple(_plan(call, disk, p, image_id) for disk in ordered)


def _plan(call: Call, disk: Disk, p: Input, image_id: str) -> Capture:
    return capture.plan_capture(
        call,
        disk,
        **drafts.labels(image_id, disk.device),
        resource_group=p.resource_group_id or "",
    )


def _to_source(one: Capture) -> SourceDisk:
    disk = one.disk
    return SourceDisk(
        type=disk.type,
        device=disk.device,
        size_gib=disk.size_gib,
        category=disk.category,
        snapshot=one.snapshot,
    )


def _describe(call: Call, p: Input, image_id: str, system: SourceDisk, source: str) -> Image:
    """The image's row: what the caller said, else what is known of the source, else the documented default."""
    known = system.snapshot
    assert known is not None  # Every source yields a system disk with a snapshot.
    return drafts.new_image(
        call,
        image_id,
        region=p.region_id,
        name=p.image_name,
        family=p.image_family,
        version=p.image_version,
        description=p.description,
        resource_group=p.resource_group_id,
        system=_system(p, known.system),
        size_gib=system.size_gib,
        source=source,
    )


def _system(p: Input, known: System) -> System:
    """What the caller says of the system, else what is known of it, else the documented default."""
    architecture = p.architecture or known.architecture or DEFAULT_ARCHITECTURE
    platform = p.platform or known.platform or DEFAULT_PLATFORM
    known_boot = known.boot_mode if known.architecture == architecture else ""
    boot_mode = p.boot_mode or known_boot or platforms.default_boot_mode(architecture)
    features = p.features or FeaturesInput()
    options = p.secure_boot_options or SecureBootOptions()
    # A snapshot's ImdsSupport is not inherited (ecs-api.md 5.1), and where the caller asks for a BIOS there is no
    # secure boot to inherit.
    known_imds = known.imds_support if p.instance_id else ""
    known_secure_boot = "" if boot_mode == "BIOS" else known.secure_boot
    return System(
        platform=platform,
        architecture=architecture,
        os_type=known.os_type if platform == known.platform else platforms.os_type_of(platform),
        boot_mode=boot_mode,
        imds_support=features.imds_support or known_imds or "v1",
        nvme_support=features.nvme_support or known.nvme_support or "unsupported",
        secure_boot=options.secure_boot_support or known_secure_boot,
        license_type=known.license_type,
    )


def _check_image(call: Call, image: Image) -> None:
    """Rules that concern the image as a whole."""
    system = image.system
    if not platforms.can_boot(system.architecture, system.boot_mode):
        raise InvalidBootModeNotSupport(boot_mode=system.boot_mode, architecture=system.architecture)
    if system.secure_boot == "supported" and system.boot_mode == "BIOS":
        raise InvalidParameterSecureBoot
    owned = {"account": image.account, "region": image.region}
    quotas = call.deployment.quotas
    watch = call.ports.quota_watch
    key = ("images", image.account, image.region)
    if watch.is_reached(key, quotas.images, lambda: images.images.count(call.tx, **owned)):
        raise QuotaExceedImage(limit=quotas.images)
    if image.family:
        _check_family(call, image)


def _check_family(call: Call, image: Image) -> None:
    owned = {"account": image.account, "region": image.region}
    quotas = call.deployment.quotas
    in_family = images.images.count(call.tx, family=image.family, **owned)
    if in_family >= quotas.images_per_family:
        raise ImageQuotaExceedImageFamily(family=image.family, limit=quotas.images_per_family)
    if in_family == 0 and images.count_families(call.tx, image.account, image.region) >= quotas.families:
        raise ImageFamilyQuotaExceed(limit=quotas.families)


def _to_row(image: Image, position: int, disk: SourceDisk) -> ImageDisk:
    return drafts.new_image_disk(
        image,
        position,
        type=disk.type,
        device=disk.device,
        size_gib=disk.size_gib,
        category=disk.category,
        snapshot=disk.snapshot.id if disk.snapshot else "",
        kms_key=disk.snapshot.kms_key if disk.snapshot else "",
    )


create_image = Operation(
    input=Input,
    output=Output,
    check=check,
    commit=commit,
    carry_out=carry_out,
    facts=CaptureFacts,
    give_up=give_up,
    idempotent=Idempotence(mismatch=IdempotenceParamNotMatch, malformed=InvalidClientTokenMalformed),
    leads_to=("Creating", "Available"),
    errors=(
        MissingParameterSource,
        InvalidInstanceIdNotFound,
        IncorrectInstanceStatusOfImage,
        IncorrectInstanceStatusNeedRestart,
        InstanceLockedForSecurityOfImage,
        InvalidInstanceNotFoundSystemDisk,
        *capture.ERRORS,
        *sources.ERRORS,
        InvalidResourceGroupNotFound,
        InvalidImageNameDuplicated,
        InvalidBootModeNotSupport,
        InvalidParameterSecureBoot,
        InvalidTagKeyMalformed,
        DuplicateTagKey,
        QuotaExceedImage,
        ImageQuotaExceedImageFamily,
        ImageFamilyQuotaExceed,
        ServiceUnavailablePoolDamaged,
    ),
)
