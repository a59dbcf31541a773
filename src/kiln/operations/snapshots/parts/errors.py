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
