"""What can be wrong with a snapshot that is asked for."""

from __future__ import annotations

from kiln.declare.errors import ApiError


class InvalidSnapshotIdNotFound(ApiError):
    """No snapshot of that ID can be seen by this account."""

    code = "InvalidSnapshotId.NotFound"
    status = 404
    message = "The specified SnapshotId does not exist."


class InvalidSnapshotIdNotReady(ApiError):
    """The snapshot is not accomplished."""

    code = "InvalidSnapshotId.NotReady"
    status = 403
    message = "The specified snapshot has not completed yet."


class ParameterInvalidSnapshotPolicy(ApiError):
    """No policy of that ID can be seen by this account in the region."""

    code = "ParameterInvalid"
    status = 404
    message = "The specified automatic snapshot policy does not exist."
