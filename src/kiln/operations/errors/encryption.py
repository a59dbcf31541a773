"""What can be wrong with how something is to be encrypted."""

from __future__ import annotations

from kiln.declare.errors import ApiError


class InvalidEncryptedNotMatchKmsKeyId(ApiError):
    """A key was named, and Encrypted is not true."""

    code = "InvalidEncrypted.NotMatchKmsKeyId"
    status = 403
    message = "The specified parameter Encrypted must be true when KmsKeyId is not empty."


class InvalidEncryptedNotMatchEncryptAlgorithm(ApiError):
    """EncryptAlgorithm was sent, and Encrypted is not true."""

    code = "InvalidEncrypted.NotMatchEncryptAlgorithm"
    message = "The specified parameter Encrypted must be true when EncryptAlgorithm is not empty."


class InvalidEncryptedNotMatchSnapshot(ApiError):
    """Encrypted says otherwise than the snapshot is."""

    code = "InvalidEncrypted.NotMatchSnapshot"
    message = "The specified parameter Encrypted is different from the Encrypted of the snapshot."
    hint = "`kiln snapshot copy SNAPSHOT --encrypted` makes a snapshot that is encrypted of one that is not."


class InvalidEncryptAlgorithm(ApiError):
    """EncryptAlgorithm is none of the documented ones."""

    code = "InvalidEncryptAlgorithm"
    message = "The specified parameter EncryptAlgorithm is not valid."


class InvalidParameterKmsKeyIdNotFound(ApiError):
    """The account has no such key in the region."""

    code = "InvalidParameter.KMSKeyId.NotFound"
    status = 404
    message = "The specified KMSKeyId does not exist."
    hint = "An account has one key in each region, which is used where none is named."


class InvalidRegionIdNotSupportEncryptAlgorithm(ApiError):
    """The algorithm is a documented one that no disk is encrypted with here."""

    code = "InvalidRegionId.NotSupportEncryptAlgorithm"
    status = 403
    message = "The current region does not support creating encrypted disks with EncryptAlgorithm."
    hint = "Disks are encrypted with AES-256."


class NotSupportSnapshotEncryptedDiskCategory(ApiError):
    """An encrypted disk is asked for of an image or a snapshot that is not encrypted."""

    code = "NotSupportSnapshotEncrypted.DiskCategory"
    status = 403
    message = (
        "The specified disk category does not support creating encrypted system disks or creating encrypted data disks "
        "from snapshots. Check the DiskCategory or Encrypted parameter, or check your account for default encryption "
        "settings."
    )
    hint = "`kiln image copy IMAGE --encrypted` makes an image whose disks are encrypted."
