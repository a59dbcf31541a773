"""What can be wrong with what is said of a snapshot."""

from __future__ import annotations

from kiln.declare.errors import ApiError


class InvalidSnapshotNameMalformed(ApiError):
    """The snapshot's name breaks the rule for snapshot names."""

    code = "InvalidSnapshotName.Malformed"
    message = "The specified SnapshotName is wrongly formed."


class InvalidDescriptionMalformedOfSnapshot(ApiError):
    """The description breaks the rule for descriptions."""

    code = "InvalidDescription.Malformed"
    status = 404
    message = "The specified description is wrongly formed."


class InvalidRetentionDaysMalformed(ApiError):
    """RetentionDays is no number of days from 1 to 65536."""

    code = "InvalidRetentionDays.Malformed"
    message = "The specified RetentionDays is not valid."


class InvalidDiskIdNotFoundOfSnapshot(ApiError):
    """No disk of that ID can be seen by this account."""

    code = "InvalidDiskId.NotFound"
    status = 404
    message = "The specified DiskId does not exist."


class IncorrectDiskStatusNeverAttached(ApiError):
    """The disk has never been attached, so there is nothing on it."""

    code = "IncorrectDiskStatus.NeverAttached"
    status = 403
    message = "The specified disk has never been attached to any instance."


class InstanceLockedForSecurityOfSnapshot(ApiError):
    """The disk's instance is locked for security reasons."""

    code = "InstanceLockedForSecurity"
    status = 403
    message = "The disk attached instance is locked due to security."


class IdempotentParameterMismatchOfSnapshot(ApiError):
    """The ClientToken was used before with other parameters."""

    code = "IdempotentParameterMismatch"
    status = 403
    message = "The specified clientToken is used."


class InvalidClientTokenMalformedOfSnapshot(ApiError):
    """The ClientToken is longer than 64 characters or not ASCII."""

    code = "InvalidClientToken.Malformed"
    status = 403
    message = (
        "The specified clientToken is improperly formatted. It must contain only ASCII characters and must not exceed "
        "64 characters in length."
    )


class InvalidSnapshotGroupNotFound(ApiError):
    """No snapshot group of that ID can be seen by this account."""

    code = "InvalidSnapshotGroup.NotFound"
    status = 404
    message = "The SnapshotGroupId provided does not exist in our records."


class InvalidParameterName(ApiError):
    """The group's name breaks the rule for names."""

    code = "InvalidParameter.Name"
    message = "The specified Name is invalid."


class InvalidParameterDescription(ApiError):
    """The group's description breaks the rule for descriptions."""

    code = "InvalidParameter.Description"
    message = "The specified Description is invalid."


class InvalidDiskIdNotFoundOfPolicy(ApiError):
    """One of the disks cannot be seen by this account in the region."""

    code = "InvalidDiskId.NotFound"
    status = 404
    message = "The specified DiskIds are not found."
