"""What can be wrong with copying an image or a snapshot to a region."""

from __future__ import annotations

from kiln.declare.errors import ApiError, InvalidRegionIdNotFound


class SourceRegionNotFound(ApiError):
    """The RegionId, where the source is, is none of this deployment's."""

    code = "SourceRegion.NotFound"
    message = "The source region not found."
    hint = InvalidRegionIdNotFound.hint


class DestinationRegionNotFound(ApiError):
    """The DestinationRegionId is none of this deployment's."""

    code = "DestinationRegion.NotFound"
    message = "The destination region not found."
    hint = InvalidRegionIdNotFound.hint


class InvalidParameterEncryptedIllegal(ApiError):
    """A key was named, and Encrypted is not true."""

    code = "InvalidParameter.EncryptedIllegal"
    message = "The specified parameter Encrypted must be true when kmsKeyId is not empty."


class InvalidSnapshotTooOldOfCopy(ApiError):
    """The snapshot was created on or before 2013-07-15."""

    code = "InvalidSnapshot.TooOld"
    status = 403
    message = "This operation is denied because the specified snapshot is created before 2013-07-15."
