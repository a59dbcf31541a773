"""Copy an image, to another region or within its own; the copy is an image of the caller's.

The copy has an ID, a name and snapshots of its own in the destination region,
and is listed there alone. No bytes are copied: both images stand on the same
layers, which never change, and each of the two may be deleted while the other
is used. With Encrypted, and of an encrypted image in another region, they are written
anew, encrypted with the key that the caller has there, which takes its time; the
copy is Creating meanwhile, within a region too. Its description, name, tags and resource group are those that are
given; the system and the disks are the source's.

Else within a region the copy is Available with the answer. In another it is Creating
until all its disks are there, which CancelCopyImage may end and DeleteImage may
not; up to five copies to a region are made at once. The source may be deleted
as soon as this answers.

An image that is shared with the caller can be copied within its region, and the
copy from there to others.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from kiln.calls.call import Call, Job
from kiln.calls.errors import ServiceUnavailablePoolDamaged
from kiln.declare.errors import ApiError
from kiln.declare.ids import new_id
from kiln.declare.operation import Operation
from kiln.declare.rules import Doc, Example, Text
from kiln.declare.shapes import shape
from kiln.declare.states import ImageStatus
from kiln.ground.killpoints import reach
from kiln.ground.values import dataclass
from kiln.operations.errors.copies import (
    DestinationRegionNotFound,
    InvalidParameterEncryptedIllegal,
    InvalidSnapshotTooOldOfCopy,
    SourceRegionNotFound,
)
from kiln.operations.errors.encryption import InvalidEncryptedNotMatchEncryptAlgorithm
from kiln.operations.errors.images import InvalidImageIdNotFound
from kiln.operations.errors.requests import IDEMPOTENT
from kiln.operations.errors.tags import DuplicateTagKey, InvalidTagKeyMalformed
from kiln.operations.images.parts import drafts
from kiln.operations.params import ImageId, ImageName, RegionId, to_pairs
from kiln.operations.steps import capture, copying, encryption, resource_groups, source_snapshots
from kiln.operations.steps.capture import QuotaExceedSnapshot
from kiln.operations.steps.copying import (
    Ciphers,
    Copy,
    CopyFacts,
    Encrypted,
    GroupOfCopy,
    OperationDeinedEncryptedSnapshot,
    TagsOfCopy,
)
from kiln.operations.steps.encryption import EncryptAlgorithm, KmsKeyId
from kiln.operations.steps.resource_groups import InvalidResourceGroupNotFound
from kiln.operations.steps.usable_images import find_usable
from kiln.operations.steps.whole_layers import check_whole
from kiln.store import images, tags
from kiln.store.database import Transaction
from kiln.store.images import Image, ImageDisk
from kiln.store.snapshots import snapshots


class IncorrectImageStatusOfCopy(ApiError):
    """The source is not Available."""

    code = "IncorrectImageStatus"
    message = "The image not available."


class OperationDeniedImageCopyingOfCopy(ApiError):
    """The source is a copy itself, which is still Creating."""

    code = "OperationDenied.ImageCopying"
    status = 403
    message = "The image is currently being copied. Please try again later."


class InvalidSnapshotIdNotFoundOfCopy(ApiError):
    """A snapshot that the source is made of is not there."""

    code = "InvalidSnapshotId.NotFound"
    message = "The specified SnapshotId does not exist."


class InvalidImageNameDuplicatedOfCopy(ApiError):
    """The account already has an image of that name in the destination region."""

    code = "InvalidImageName.Duplicated"
    message = "The specified image name is already in use in the target region. Please try a different one."


class InvalidDescriptionMalformedOfCopy(ApiError):
    """The description breaks the rule for descriptions."""

    code = "InvalidDescription.Malformed"
    message = "The specified destination description is wrongly formed."


class OperationDeniedSameRegionOnly(ApiError):
    """The source is shared by another account, and the destination is another region."""

    code = "OperationDenied.SameRegionOnly"
    status = 403
    message = "The image shared from others can not be copied to another region directly."
    hint = "Copy it within its region first, and that copy to the other."


class QuotaExceedImageOfCopy(ApiError):
    """The account has as many images in the destination region as it may."""

    code = "QuotaExceed.Image"
    status = 403
    message = "The number of images exceeds the limit ({limit})."


@shape
class Input:
    region_id: Annotated[RegionId, Doc("The region of the source.")]
    image_id: Annotated[ImageId, Doc("The source: an Available image, the caller's own or shared with it.")]
    destination_region_id: Annotated[
        str | None, Example("cn-shanghai"), Doc("The region of the copy; that of the source when it is not given.")
    ] = None
    destination_image_name: Annotated[
        ImageName | None, Doc("The name of the copy, unique in its region. Without it, it has none.")
    ] = None
    destination_description: Annotated[
        str | None,
        Text(2, 256, InvalidDescriptionMalformedOfCopy, not_starting=("http://", "https://")),
        Example("DestinationDescription"),
        Doc("The description of the copy. Without it, it has none."),
    ] = None
    encrypted: Encrypted = None
    kms_key_id: KmsKeyId = None
    encrypt_algorithm: EncryptAlgorithm = None
    resource_group_id: GroupOfCopy = None
    tag: TagsOfCopy = ()


@shape
class Output:
    image_id: Annotated[ImageId, Doc("The ID of the copy.")]


@dataclass(frozen=True, kw_only=True)
class Plan:
    image: Image
    disks: tuple[ImageDisk, ...]
    copies: tuple[Copy, ...]
    tags: dict[str, str]
    is_made_later: bool  #: Whether a task finishes it.


def check(call: Call, p: Input) -> Plan:
    pairs = to_pairs(p.tag)
    _check_encryption(p)
    region = p.destination_region_id or p.region_id
    if region not in call.deployment.regions:
        raise DestinationRegionNotFound(region_id=region)
    resource_groups.check_there(call, p.resource_group_id)
    source = find_usable(call, p.image_id, p.region_id, InvalidImageIdNotFound)
    _check_source(call, source, region)
    if p.destination_image_name and images.is_name_taken(call.tx, call.account, region, p.destination_image_name):
        raise InvalidImageNameDuplicatedOfCopy(image_name=p.destination_image_name, region_id=region)
    image = _describe(call, p, source, region)
    ciphers = Ciphers(call, region, encrypted=p.encrypted, key=p.kms_key_id, algorithm=p.encrypt_algorithm)
    disks, copies = _copy_disks(call, source, image, ciphers)
    _check_quotas(call, region, len(copies))
    if region == source.region:
        check_whole(call, [copy.told for copy in copies])
    is_made_later = region != source.region or any(copy.is_rewritten for copy in copies)
    return Plan(image=image, disks=disks, copies=copies, tags=pairs, is_made_later=is_made_later)


def commit(call: Call, plan: Plan) -> Output:
    image = plan.image if plan.is_made_later else images.published(plan.image)
    images.images.insert(call.tx, image)
    images.image_disks.insert(call.tx, *plan.disks)
    tags.add(call.tx, call.account, "image", image.id, plan.tags)
    if plan.is_made_later:
        lane = copying.pick_lane(call, image.region, plan.copies)
        remembered = copying.record(call, image.task, plan.copies)
        call.enqueue(image.id, remembered, region=image.region, lane=lane, task_id=image.task)
    else:
        copying.record_finished(call, plan.copies)
    return Output(image_id=image.id)


def carry_out(job: Job[CopyFacts]) -> None:
    def tell(tx: Transaction, percent: int) -> None:
        images.images.update(tx, {"progress": percent}, id=job.task.resource, status=ImageStatus.CREATING)

    copying.carry(job, tell, image=True)

    def publish(tx: Transaction) -> None:
        images.publish(tx, job.task.resource)
        job.finish(tx)

    job.write(publish)
    reach("copy_image.published")


def give_up(job: Job[CopyFacts], error: ApiError) -> None:
    def fail(tx: Transaction) -> None:
        copying.abandon(tx, job, error)
        images.fail(tx, job.task.resource, error.code, str(error))

    job.write(fail)


def _check_encryption(p: Input) -> None:
    """Whatever belongs to an encrypted copy is for one alone."""
    if p.encrypted:
        return
    if p.kms_key_id:
        raise InvalidParameterEncryptedIllegal(parameter="KMSKeyId")
    if p.encrypt_algorithm:
        raise InvalidEncryptedNotMatchEncryptAlgorithm(parameter="EncryptAlgorithm")


def _check_source(call: Call, source: Image, region: str) -> None:
    if source.is_copy and source.status == ImageStatus.CREATING:
        raise OperationDeniedImageCopyingOfCopy(image_id=source.id)
    if source.status != ImageStatus.AVAILABLE:
        raise IncorrectImageStatusOfCopy(image_id=source.id, status=source.status)
    if source.account != call.account and region != source.region:
        raise OperationDeniedSameRegionOnly(image_id=source.id, region_id=region)


def _describe(call: Call, p: Input, source: Image, region: str) -> Image:
    draft = drafts.new_image(
        call,
        new_id("image"),
        region=region,
        name=p.destination_image_name,
        version=source.version,
        description=p.destination_description,
        resource_group=p.resource_group_id,
        system=source.system,
        size_gib=source.size_gib,
        source=source.id,
    )
    return replace(draft, consistency=source.consistency)


def _copy_disks(
    call: Call, source: Image, image: Image, ciphers: Ciphers
) -> tuple[tuple[ImageDisk, ...], tuple[Copy, ...]]:
    """The disks of the copy, and the snapshots that those are made of which are not blank."""
    disks, copies = [], []
    for disk in images.disks_of(call.tx, [source.id])[source.id]:
        own, key = "", ciphers.of(disk.kms_key)
        if disk.snapshot:
            found = snapshots.find(call.tx, id=disk.snapshot)
            if found is None or found.volume is None:
                raise InvalidSnapshotIdNotFoundOfCopy(snapshot_id=disk.snapshot)
            if source_snapshots.is_too_old(found):
                raise InvalidSnapshotTooOldOfCopy(snapshot_id=disk.snapshot)
            labels = drafts.labels(image.id, disk.device)
            copy = copying.draft(
                call, found, kms_key=key, region=image.region, resource_group=image.resource_group, **labels
            )
            copies.append(copy)
            own = copy.snapshot.id
        # Which object it was imported from is the source's to say.
        disks.append(replace(disk, image=image.id, snapshot=own, kms_key=key, format="", bucket="", object=""))
    return tuple(disks), tuple(copies)


def _check_quotas(call: Call, region: str, wanted: int) -> None:
    limit = call.deployment.quotas.images
    owned = {"account": call.account, "region": region}
    key = ("images", call.account, region)
    if call.ports.quota_watch.is_reached(key, limit, lambda: images.images.count(call.tx, **owned)):
        raise QuotaExceedImageOfCopy(limit=limit)
    capture.check_quota(call, region, wanted)


copy_image = Operation(
    input=Input,
    output=Output,
    check=check,
    commit=commit,
    carry_out=carry_out,
    facts=CopyFacts,
    give_up=give_up,
    idempotent=IDEMPOTENT,
    unknown_region=SourceRegionNotFound,
    leads_to=("Creating", "Available"),
    errors=(
        InvalidParameterEncryptedIllegal,
        InvalidEncryptedNotMatchEncryptAlgorithm,
        OperationDeinedEncryptedSnapshot,
        *encryption.ERRORS,
        DestinationRegionNotFound,
        InvalidResourceGroupNotFound,
        InvalidImageIdNotFound,
        OperationDeniedImageCopyingOfCopy,
        IncorrectImageStatusOfCopy,
        OperationDeniedSameRegionOnly,
        InvalidImageNameDuplicatedOfCopy,
        InvalidSnapshotIdNotFoundOfCopy,
        InvalidSnapshotTooOldOfCopy,
        InvalidTagKeyMalformed,
        DuplicateTagKey,
        QuotaExceedImageOfCopy,
        QuotaExceedSnapshot,
        ServiceUnavailablePoolDamaged,
    ),
)
