"""What the operations on disks say."""

from __future__ import annotations

from kiln.declare.errors import ApiError, InvalidRegionIdNotFound


class InvalidDiskIdNotFound(ApiError):
    """No disk of that ID can be seen by this account."""

    code = "InvalidDiskId.NotFound"
    status = 404
    message = "The specified disk does not exist."


class InvalidRegionIdMalFormed(ApiError):
    """The RegionId is none of this deployment's, as the operations on one disk say it."""

    code = "InvalidRegionId.MalFormed"
    message = "The specified RegionId is not valid."
    hint = InvalidRegionIdNotFound.hint


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


class InvalidParameterMultiAttach(ApiError):
    """MultiAttach is none of the documented words, or a disk is wanted that several instances can have at a time."""

    code = "InvalidParameter.MultiAttach"
    status = 403
    message = "The specified param MultiAttach is not valid."
