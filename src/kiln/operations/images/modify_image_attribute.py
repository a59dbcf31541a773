"""Change a custom image's name, family, description, status, boot mode, licence type or features.

What is not sent, or sent empty, stays as it is. Status=Deprecated takes an
Available image out of its family's lookup without making it unusable;
Status=Available brings it back. An image that is still Creating can't be changed.
"""

from __future__ import annotations

from typing import Annotated, Any

from kiln.calls.call import Call
from kiln.declare.errors import ApiError
from kiln.declare.operation import Operation
from kiln.declare.rules import Clearable, Doc, Example, More, Name, OneOf
from kiln.declare.shapes import shape
from kiln.declare.states import ImageStatus
from kiln.ground.values import dataclass
from kiln.operations.errors.images import InvalidBootModeNotSupport, InvalidImageIdNotFound
from kiln.operations.params import BootMode, Description, FeaturesInput, ImageId, ImageName, NothingMore, RegionId
from kiln.operations.steps import platforms
from kiln.store import images
from kiln.store.images import Image
from kiln.store.instances import instances


class InvalidImageNameDuplicatedOnChange(ApiError):
    """The account has another image of that name in the region."""

    code = "InvalidImageName.Duplicated"
    message = "The specified Image name has already bean used."


class InvalidImageFamilyMalformedOnChange(ApiError):
    """An image family breaks the rule for families."""

    code = "InvalidImageFamily.Malformed"
    message = 'The specified parameter "ImageFamily" is malformed.'


class ImageQuotaFullImageFamily(ApiError):
    """The family has as many images as it may."""

    code = "ImageQuotaFull.ImageFamily"
    message = "The specified image family has exceeded max number of images for one image family."


class ImageFamilyQuotaFull(ApiError):
    """The account has as many families in the region as it may."""

    code = "ImageFamilyQuotaFull"
    message = "The specified region has exceeded max number of image family."


class InvalidBootModeNotSupportSecureBoot(ApiError):
    """The image supports secure boot, which BIOS has not."""

    code = "InvalidBootMode.NotSupport"
    message = "The specified parameter BootMode is not supported."


class InvalidLicenseTypeNotSupportedOnChange(ApiError):
    """LicenseType is not BYOL."""

    code = "InvalidLicenseType.NotSupported"
    message = "The specified parameter LicenseType is not supported."


class ImageStatusNotAvailable(ApiError):
    """Only an Available image can be deprecated."""

    code = "ImageStatus.NotAvailable"
    status = 403
    message = "The specified image status is not available."


class ImageStatusNotDeprecated(ApiError):
    """Only a Deprecated image can be made Available again."""

    code = "ImageStatus.NotDeprecated"
    status = 403
    message = "The specified image status is not deprecated."


class OperationDeinedImageUsingByInstance(ApiError):
    """The boot mode can't change while instances of the image exist. The code's spelling is the service's."""

    code = "OperationDeined.ImageUsingByInstance"
    status = 403
    message = "The boot mode of the image cannot be modified because it has associated instances."


class InvalidOperationFeaturesImdsSupportNotMatch(ApiError):
    """Features.ImdsSupport can't go back from v2 to v1."""

    code = "InvalidOperation.FeaturesImdsSupportNotMatch"
    status = 403
    message = "The specified parameter Features.ImdsSupport can not be set to v1 from v2."


class InvalidStatusImageIsCreating(ApiError):
    """The image is still Creating."""

    code = "InvalidStatus.ImageIsCreating"
    status = 403
    message = (
        "The operation cannot be performed because the image is creating. Please wait until the creation is complete "
        "and try again."
    )


@shape
class Input:
    region_id: RegionId
    image_id: ImageId
    image_name: ImageName | None = None
    image_family: Annotated[
        str | None,
        Name(2, 128, InvalidImageFamilyMalformedOnChange, ("http://", "https://", "aliyun", "acs:")),
        Example("hangzhou-daily-update"),
        Doc("The family. An image can move to another, but not out of all."),
    ] = None
    description: Annotated[Description | None, Clearable(), More("Empty: the image has none any more.")] = None
    status: Annotated[
        str | None,
        OneOf((ImageStatus.DEPRECATED, ImageStatus.AVAILABLE)),
        Doc("Deprecated for an Available image, Available for a Deprecated one."),
    ] = None
    boot_mode: BootMode | None = None
    license_type: Annotated[
        str | None,
        OneOf(("BYOL",), InvalidLicenseTypeNotSupportedOnChange),
        Doc("BYOL: the licence is the user's own."),
    ] = None
    features: FeaturesInput | None = None


@dataclass(frozen=True, kw_only=True)
class Plan:
    image: Image
    changes: dict[str, Any]
    status: ImageStatus | None  #: The one to move to.


def check(call: Call, p: Input) -> Plan:
    image = call.the(images.images, p.image_id, p.region_id, InvalidImageIdNotFound)
    if image.status == ImageStatus.CREATING:
        raise InvalidStatusImageIsCreating(image_id=image.id)
    _check_name(call, p, image)
    _check_family(call, p, image)
    _check_boot(call, p, image)
    _check_status(p, image)
    features = p.features or FeaturesInput()
    if features.imds_support == "v1" and image.system.imds_support == "v2":
        raise InvalidOperationFeaturesImdsSupportNotMatch(image_id=image.id)
    wanted = {
        "name": p.image_name,
        "family": p.image_family,
        "description": p.description,
        "boot_mode": p.boot_mode,
        "license_type": p.license_type,
        "imds_support": features.imds_support,
        "nvme_support": features.nvme_support,
    }
    changes = {column: value for column, value in wanted.items() if value is not None}
    return Plan(image=image, changes=changes, status=None if p.status is None else ImageStatus(p.status))


def commit(call: Call, plan: Plan) -> NothingMore:
    if plan.changes:
        images.images.update(call.tx, plan.changes, id=plan.image.id)
    if plan.status is not None:
        images.images.move(call.tx, ImageStatus(plan.image.status), plan.status, {}, id=plan.image.id)
    return NothingMore()


def _check_name(call: Call, p: Input, image: Image) -> None:
    is_new = p.image_name is not None and p.image_name != image.name
    if is_new and images.is_name_taken(call.tx, image.account, image.region, p.image_name or ""):
        raise InvalidImageNameDuplicatedOnChange(image_name=p.image_name)


def _check_family(call: Call, p: Input, image: Image) -> None:
    if p.image_family is None or p.image_family == image.family:
        return
    quotas = call.deployment.quotas
    in_family = images.images.count(call.tx, account=image.account, region=image.region, family=p.image_family)
    if in_family >= quotas.images_per_family:
        raise ImageQuotaFullImageFamily(family=p.image_family, limit=quotas.images_per_family)
    if in_family == 0 and images.count_families(call.tx, image.account, image.region) >= quotas.families:
        raise ImageFamilyQuotaFull(limit=quotas.families)


def _check_boot(call: Call, p: Input, image: Image) -> None:
    if p.boot_mode is None or p.boot_mode == image.system.boot_mode:
        return
    if not platforms.can_boot(image.system.architecture, p.boot_mode):
        raise InvalidBootModeNotSupport(boot_mode=p.boot_mode, architecture=image.system.architecture)
    if p.boot_mode == "BIOS" and image.system.secure_boot == "supported":
        raise InvalidBootModeNotSupportSecureBoot(boot_mode=p.boot_mode)
    if instances.count(call.tx, image=image.id, account=call.account) > 0:
        raise OperationDeinedImageUsingByInstance(image_id=image.id)


def _check_status(p: Input, image: Image) -> None:
    if p.status == ImageStatus.DEPRECATED and image.status != ImageStatus.AVAILABLE:
        raise ImageStatusNotAvailable(image_id=image.id, status=image.status)
    if p.status == ImageStatus.AVAILABLE and image.status != ImageStatus.DEPRECATED:
        raise ImageStatusNotDeprecated(image_id=image.id, status=image.status)


modify_image_attribute = Operation(
    input=Input,
    output=NothingMore,
    check=check,
    commit=commit,
    errors=(
        InvalidImageIdNotFound,
        InvalidStatusImageIsCreating,
        InvalidImageNameDuplicatedOnChange,
        ImageQuotaFullImageFamily,
        ImageFamilyQuotaFull,
        InvalidBootModeNotSupport,
        InvalidBootModeNotSupportSecureBoot,
        OperationDeinedImageUsingByInstance,
        ImageStatusNotAvailable,
        ImageStatusNotDeprecated,
        InvalidOperationFeaturesImdsSupportNotMatch,
    ),
)
