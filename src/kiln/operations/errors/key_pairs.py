"""What can be wrong with a key pair that is named."""

from __future__ import annotations

from kiln.declare.errors import ApiError


class InvalidKeyPairNameNotFound(ApiError):
    """The account has no key pair of that name in the region, as RunInstances and CreateInstance say it."""

    code = "InvalidKeyPairName.NotFound"
    status = 404
    message = "The specified parameter KeyPairName does not exist in our records."


class InvalidKeyPairNameNotFoundOfReplace(ApiError):
    """The account has no key pair of that name in the region, as operations on system disks say it."""

    code = "InvalidKeyPairName.NotFound"
    message = "The specified KeyPairName does not exist."


class DependencyViolationWindowsInstance(ApiError):
    """The image, or the instance, is of Windows, which takes no key pairs."""

    code = "DependencyViolation.WindowsInstance"
    status = 403
    message = "The instance creating is windows, cannot use ssh key pair to login."
