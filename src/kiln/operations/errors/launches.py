"""What can be wrong with the image, the type and the disks of a new instance.

Shared by RunInstances, CreateInstance and, as far as it applies, ReplaceSystemDisk.
"""

from __future__ import annotations

from kiln.declare.devices import DATA_HINT
from kiln.declare.errors import ApiError
from kiln.declare.operation import Idempotence
from kiln.operations.errors.requests import IdempotentParameterMismatch


class MissingParameterImage(ApiError):
    """Neither ImageId nor ImageFamily was given."""

    code = "MissingParameter"
    message = 'The input parameter "ImageId" that is mandatory for processing this request is not supplied.'


class UnexpectedImageFamilyImageIdSupplied(ApiError):
    """Both ImageId and ImageFamily were given."""

    code = "UnexpectedImageFamily.ImageIdSupplied"
    message = "The input parameter ImageFamily must be null when image id is set."


class InvalidImageFamilyMissingAvailableImage(ApiError):
    """The family has no Available image."""

    code = "InvalidImageFamily.MissingAvailableImage"
    status = 403
    message = "There is no available image related to the specified image family."


class OperationDeniedImageNotValid(ApiError):
    """The image is neither Available nor Deprecated."""

    code = "OperationDenied.ImageNotValid"
    status = 403
    message = "The specified Image is disabled or is deleted."


class InvalidParameterConflictArchitecture(ApiError):
    """The instance type's CPU is not one that the image runs on."""

    code = "InvalidParameter.Conflict"
    message = "The specified image does not support the specified instance type."


class InvalidSystemDiskCategoryValueNotSupported(ApiError):
    """The category of the system disk is none of the documented ones."""

    code = "InvalidSystemDiskCategory.ValueNotSupported"
    message = 'The specified parameter "SystemDisk.Category" is not valid.'


class InvalidSystemDiskSizeLessThanImageSize(ApiError):
    """The system disk would be smaller than the image's."""

    code = "InvalidSystemDiskSize.LessThanImageSize"
    status = 404
    message = "The specified parameter SystemDisk.Size is less than the image size."


class InvalidSystemDiskSizeMoreThanMaxSize(ApiError):
    """The system disk would be bigger than its category allows."""

    code = "InvalidSystemDiskSize.MoreThanMaxSize"
    status = 404
    message = "The specified parameter SystemDisk.Size is more than the max size."


class InvalidDiskNameMalformed(ApiError):
    """A disk's name breaks the rule for names."""

    code = "InvalidDiskName.Malformed"
    message = 'The specified parameter "SyatemDisk.DiskName or DataDisk.n.DiskName" is not valid.'


class InvalidDataDiskCategoryValueNotSupported(ApiError):
    """The category of a data disk is none of the documented ones."""

    code = "InvalidDataDiskCategory.ValueNotSupported"
    message = 'The specified parameter "DataDisk.n.Category" is not valid.'


class InvalidDataDiskSizeValueNotSupported(ApiError):
    """A data disk has neither a size nor a snapshot, or a size that its category does not allow."""

    code = "InvalidDataDiskSize.ValueNotSupported"
    message = (
        "The specified DataDisk.n.Size beyond the permitted range, or the capacity of snapshot exceeds the size limit "
        "of the specified disk category."
    )


class InvalidDiskSizeTooSmall(ApiError):
    """A data disk of the image would become smaller than it is in the image."""

    code = "InvalidDiskSize.TooSmall"
    status = 403
    message = "Specified disk size is less than the size of snapshot."


class InvalidDataDeviceMalformed(ApiError):
    """A data disk's device name is no such name."""

    code = "InvalidDataDevice.Malformed"
    message = 'The specified parameter "DataDisk.n.Device" is not valid.'
    hint = DATA_HINT


class InvalidDataDiskSnapshotIdNotFound(ApiError):
    """A data disk's snapshot is none of the account's in the region."""

    code = "InvalidDataDiskSnapshotId.NotFound"
    status = 404
    message = 'The specified parameter "DataDisk.n.SnapshotId" is not valid.'


class InvalidSnapshotIdBasedSnapshotTooOld(ApiError):
    """A data disk's snapshot was created on or before 2013-07-15."""

    code = "InvalidSnapshotId.BasedSnapshotTooOld"
    message = "The specified snapshot is created before 2013-07-15."


class OperationDeniedNoStock(ApiError):
    """Every public address of the deployment is somebody's, or no host has room for the instance."""

    code = "OperationDenied.NoStock"
    status = 403
    message = "The resource is out of usage."


class ServiceUnavailableNoMachine(ApiError):
    """The machine did not start. Seen in the task and in the log, not in an answer."""

    code = "ServiceUnavailable"
    status = 503
    message = "The machine could not be started: {reason}"
    hint = "`kiln doctor` shows whether the host of the service can run machines; its log says more."


class InvalidClientTokenValueNotSupported(ApiError):
    """The ClientToken is longer than 64 characters or not ASCII."""

    code = "InvalidClientToken.ValueNotSupported"
    message = "The ClientToken provided is invalid."


#: That an operation takes a ClientToken, with the errors that those which launch document for it.
IDEMPOTENT = Idempotence(mismatch=IdempotentParameterMismatch, malformed=InvalidClientTokenValueNotSupported)
