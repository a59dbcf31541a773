"""What can be wrong with the making, the name, the format and the bucket of an image."""

from __future__ import annotations

from kiln.declare.errors import ApiError


class InvalidImageNameDuplicated(ApiError):
    """The account already has an image of that name in the region."""

    code = "InvalidImageName.Duplicated"
    message = "The specified image name is already in use."


class QuotaExceedImage(ApiError):
    """The account has as many images in the region as it may."""

    code = "QuotaExceed.Image"
    status = 403
    message = "The Image Quota exceeds."


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
