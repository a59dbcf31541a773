"""What can be wrong with a disk that something is made of."""

from __future__ import annotations

from kiln.declare.errors import ApiError


class IncorrectDiskStatus(ApiError):
    """The disk's status does not allow the operation."""

    code = "IncorrectDiskStatus"
    status = 403
    message = "The current disk status does not support this operation."


class DiskCreatingSnapshot(ApiError):
    """The disk can't be changed while a snapshot of it is being created."""

    code = "DiskCreatingSnapshot"
    status = 403
    message = "The operation is denied due to a snapshot of the specified disk is not completed yet."


class InvalidDiskTypeValueNotSupported(ApiError):
    """The disk type is none of the documented ones."""

    code = "InvalidDiskType.ValueNotSupported"
    message = "The specified disk type is not supported."
