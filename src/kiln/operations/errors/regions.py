"""What can be wrong with a region or a zone."""

from __future__ import annotations

from kiln.declare.errors import ApiError, InvalidRegionIdNotFound


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


class InvalidRegionIdNotFoundSpecified(ApiError):
    """The RegionId is none of this deployment's, as CreateDisk, DescribeZones and AddTags say it."""

    code = "InvalidRegionId.NotFound"
    status = 404
    message = "The specified RegionId does not exist."
