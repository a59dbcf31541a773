"""What can be wrong with what is said of an image."""

from __future__ import annotations

from kiln.declare.errors import ApiError


class InvalidImageIdNotFound(ApiError):
    """No image of that ID can be seen by this account in the region."""

    code = "InvalidImageId.NotFound"
    status = 404
    message = "The specified ImageId does not exist."


class InvalidImageNameMalformed(ApiError):
    """An image name breaks the rule for image names."""

    code = "InvalidImageName.Malformed"
    message = (
        "Image names must be between 2 and 128 characters long, using either English or Chinese characters. "
        "The name must start with a letter or a Chinese character, and can include numbers, colons, underscores "
        "and hyphens."
    )


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
