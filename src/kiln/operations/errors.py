"""Errors that several operations share. An operation's own errors stand in its own file."""

from __future__ import annotations

from kiln.declare.errors import ApiError


class InvalidRegionIdNotFound(ApiError):
    """The RegionId is none of this deployment's."""

    code = "InvalidRegionId.NotFound"
    status = 404
    message = "The RegionId provided does not exist in our records."
    hint = "DescribeRegions lists the regions; the setting `regions` (KILN_REGIONS) adds more."


class InvalidRegionIdMalFormed(ApiError):
    """The RegionId is none of this deployment's, as the operations on one disk say it."""

    code = "InvalidRegionId.MalFormed"
    message = "The specified RegionId is not valid."
    hint = InvalidRegionIdNotFound.hint


class InvalidRegionIdNotFoundOfTasks(ApiError):
    """The RegionId is none of this deployment's, as ImportImage, ExportImage and the task operations say it."""

    code = "InvalidRegionId.NotFound"
    status = 400
    message = "The specified RegionId does not exist."
    hint = InvalidRegionIdNotFound.hint


class InvalidZoneIdNotFound(ApiError):
    """The ZoneId is none of the region's."""

    code = "InvalidZoneId.NotFound"
    status = 404
    message = "The ZoneId provided does not exist in our records."


class InvalidImageIdNotFound(ApiError):
    """No image of that ID can be seen by this account in the region."""

    code = "InvalidImageId.NotFound"
    status = 404
    message = "The specified ImageId does not exist."


class InvalidSnapshotIdNotFound(ApiError):
    """No snapshot of that ID can be seen by this account."""

    code = "InvalidSnapshotId.NotFound"
    status = 404
    message = "The specified SnapshotId does not exist."


class InvalidDiskIdNotFound(ApiError):
    """No disk of that ID can be seen by this account."""

    code = "InvalidDiskId.NotFound"
    status = 404
    message = "The specified disk does not exist."


class InvalidInstanceIdNotFound(ApiError):
    """No instance of that ID can be seen by this account."""

    code = "InvalidInstanceId.NotFound"
    status = 404
    message = "The specified InstanceId does not exist."


class InvalidResourceGroupNotFound(ApiError):
    """The account has no resource group of that ID."""

    code = "InvalidResourceGroup.NotFound"
    status = 404
    message = "The ResourceGroup provided does not exist in our records."
    hint = "`kiln account add-resource-group ACCOUNT ID` makes one."


class InvalidImageNameDuplicated(ApiError):
    """The account already has an image of that name in the region."""

    code = "InvalidImageName.Duplicated"
    message = "The specified image name is already in use."


class InvalidImageNameMalformed(ApiError):
    """An image name breaks the rule for image names."""

    code = "InvalidImageName.Malformed"
    message = (
        "Image names must be between 2 and 128 characters long, using either English or Chinese characters. "
        "The name must start with a letter or a Chinese character, and can include numbers, colons, underscores "
        "and hyphens."
    )


class InvalidDescriptionMalformed(ApiError):
    """A description breaks the rule for descriptions."""

    code = "InvalidDescription.Malformed"
    message = "The specified description is wrongly formed."


class InvalidImageFamilyMalformed(ApiError):
    """An image family breaks the rule for families."""

    code = "InvalidImageFamily.Malformed"
    message = "The format of the specified image family is invalid."


class InvalidPlatformMalformed(ApiError):
    """The platform is none of the documented ones."""

    code = "InvalidPlatform.Malformed"
    message = "The specified Platform is wrongly formed."


class InvalidArchitectureMalformed(ApiError):
    """The architecture is none of the documented ones."""

    code = "InvalidArchitecture.Malformed"
    message = "The specified Architecture is wrongly formed."


class InvalidBootModeNotSupport(ApiError):
    """The boot mode is unknown, or does not fit the architecture (arm64 boots by UEFI only)."""

    code = "InvalidBootMode.NotSupport"
    message = "The specified parameter BootMode is not supported for current image architecture."


class InvalidParameterFeaturesImdsSupport(ApiError):
    """Features.ImdsSupport is neither v1 nor v2."""

    code = "InvalidParameter.FeaturesImdsSupport"
    message = "The specified parameter Features.ImdsSupport is not supported."


class InvalidParameterDetectionStrategy(ApiError):
    """DetectionStrategy is not Standard."""

    code = "InvalidParameter.DetectionStrategy"
    message = "The specified parameter DetectionStrategy is invalid."


class InvalidTagKeyMalformed(ApiError):
    """A tag key is empty, too long, or has a forbidden prefix or part."""

    code = "InvalidTagKey.Malformed"
    message = "The specified Tag.n.Key is not valid."


class InvalidTagValueMalformed(ApiError):
    """A tag value is too long, or has a forbidden prefix or part."""

    code = "InvalidTagValue.Malformed"
    message = "The specified Tag.n.Value is not valid."


class DuplicateTagKey(ApiError):
    """One tag key was sent twice."""

    code = "Duplicate.TagKey"
    message = "The Tag.N.Key contain duplicate key."


class InvalidTagCount(ApiError):
    """More tags than a filter may have."""

    code = "InvalidTagCount"
    message = "The specified tags are beyond the permitted range."


class QuotaExceedTags(ApiError):
    """The resource would have more tags than it may."""

    code = "QuotaExceed.Tags"
    status = 403
    message = "The number of tags exceeds the limit: {rule}."


class QuotaExceedImage(ApiError):
    """The account has as many images in the region as it may."""

    code = "QuotaExceed.Image"
    status = 403
    message = "The Image Quota exceeds."


class QuotaExceedSnapshot(ApiError):
    """The account has as many snapshots in the region as it may."""

    code = "QuotaExceed.Snapshot"
    status = 403
    message = "The snapshot quota exceeds."


class IncorrectInstanceStatus(ApiError):
    """The instance's status does not allow the operation."""

    code = "IncorrectInstanceStatus"
    status = 403
    message = "The current status of the resource does not support this operation."


class InstanceLockedForSecurity(ApiError):
    """The instance is locked for security reasons."""

    code = "InstanceLockedForSecurity"
    status = 403
    message = "The specified operation is denied as your instance is locked for security reasons."


class IncorrectDiskStatus(ApiError):
    """The disk's status does not allow the operation."""

    code = "IncorrectDiskStatus"
    status = 403
    message = "The current disk status does not support this operation."


class IncorrectDiskStatusCreatingSnapshot(ApiError):
    """A snapshot of the disk is being created already."""

    code = "IncorrectDiskStatus.CreatingSnapshot"
    status = 403
    message = "A previous snapshot creation is in process."


class DiskCreatingSnapshot(ApiError):
    """The disk can't be changed while a snapshot of it is being created."""

    code = "DiskCreatingSnapshot"
    status = 403
    message = "The operation is denied due to a snapshot of the specified disk is not completed yet."


class InvalidSnapshotIdNotReady(ApiError):
    """The snapshot is not accomplished."""

    code = "InvalidSnapshotId.NotReady"
    status = 403
    message = "The specified snapshot has not completed yet."


class InvalidInstanceNotFoundSystemDisk(ApiError):
    """The instance has no system disk."""

    code = "InvalidInstance.NotFoundSystemDisk"
    message = "The specified instance does not have system disk."


class InvalidFilterKeyNotFound(ApiError):
    """A Filter.N.Key that the operation does not know."""

    code = "InvalidFilterKey.NotFound"
    status = 404
    message = "The specified Filter Key is not found."


class InvalidFilterValue(ApiError):
    """A Filter.N.Value of the wrong form."""

    code = "InvalidFilterValue"
    status = 404
    message = "The specified Filter Value is not valid."


class InvalidClientTokenMalformed(ApiError):
    """The ClientToken is longer than 64 characters or not ASCII."""

    code = "InvalidClientToken.Malformed"
    message = "The specified parameter clientToken is not valid."


class IdempotentParameterMismatch(ApiError):
    """The ClientToken was used before with other parameters."""

    code = "IdempotentParameterMismatch"
    message = "The request is retried with updated parameters."


class DryRunSuccess(ApiError):
    """Every check passed, as ImportImage and the batch operations say it."""

    code = "DRYRUN.SUCCESS"
    message = "This request is a dryrun request with successful result."


class MissingParameterOfTasks(ApiError):
    """A mandatory parameter was not sent, as ImportImage, ExportImage and the task operations say it."""

    code = "MissingParameter"
    message = 'An input parameter "{parameter}" that is mandatory for processing the request is not supplied.'


class InvalidTaskIdNotFound(ApiError):
    """No import or export of that ID can be seen by this account in the region."""

    code = "InvalidTaskId.NotFound"
    message = 'The specified "TaskId" is not found.'


class InvalidImageFormatMalformed(ApiError):
    """The format is none of the documented ones."""

    code = "InvalidImageFormat.Malformed"
    message = "The specified Image Format is wrongly formed."


class InvalidOSSNotAuthorized(ApiError):
    """The bucket is another account's, or the service may not read or write what is in it."""

    code = "InvalidOSS.NotAuthorized"
    status = 403
    message = "The specified OSS bucket or object is not allowed to access."
    hint = (
        "The operator gives a bucket to an account with `kiln bucket give BUCKET ACCOUNT`, lets everybody read it with "
        "`kiln bucket share BUCKET`, and sees to it that the service may read and write its folder."
    )


class InvalidOSSBucketNotFound(ApiError):
    """There is no such bucket."""

    code = "InvalidOSSBucket.NotFound"
    message = "The specified OSS bucket does not exist in this region."


class InstanceLockedForSecurityOfDisk(ApiError):
    """The instance is locked for security reasons, as the operations on its disks say it."""

    code = "InstanceLockedForSecurity"
    status = 403
    message = "The instance is locked due to security."


class DiskNotPortable(ApiError):
    """The disk lives and dies with its instance."""

    code = "DiskNotPortable"
    status = 403
    message = "The specified disk is not a portable disk."


class InvalidAcceptLanguageNotFound(ApiError):
    """A language that names are not told in."""

    code = "InvalidAcceptLanguage.NotFound"
    status = 404
    message = "Only Chinese (zh-CN), English (en-US), and Japanese (ja) are allowed."


class ServiceUnavailablePoolClosed(ApiError):
    """Nothing can be written to the pool until its operator changes that. Seen in the task and in the log."""

    code = "ServiceUnavailable"
    status = 503
    message = "The pool can't be written: {reason}"


class ServiceUnavailableNoRoom(ApiError):
    """The pool has no room for a disk. Seen in the task and in the log, not in an answer."""

    code = "ServiceUnavailable"
    status = 503
    message = "There is no room left in the pool: {reason}"
