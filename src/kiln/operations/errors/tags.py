"""What can be wrong with tags, and with what they are put on."""

from __future__ import annotations

from kiln.declare.errors import ApiError


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


class InvalidResourceTypeNotFound(ApiError):
    """The resource type is none of the documented ones."""

    code = "InvalidResourceType.NotFound"
    status = 404
    message = "The ResourceType provided does not exist in our records."


class InvalidResourceIdNotFoundOfOne(ApiError):
    """The resource is none of the account's in the region."""

    code = "InvalidResourceId.NotFound"
    status = 404
    message = "The specified ResourceId is not found in our records."
