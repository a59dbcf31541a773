"""With which key something is encrypted: what all who make disks, or copies of them, ask.

An account has one key in each region, as the cloud has a service key there; its
ID follows from the two, and its bytes from that and the secret of the data folder,
so that nothing of it is kept. There are no other keys.
"""

from __future__ import annotations

import uuid
from typing import Annotated

from kiln.calls.call import Call
from kiln.declare.errors import ApiError
from kiln.declare.rules import Doc, OneOf, Wire
from kiln.ground.values import dataclass
from kiln.operations.errors.encryption import (
    InvalidEncryptAlgorithm,
    InvalidEncryptedNotMatchEncryptAlgorithm,
    InvalidEncryptedNotMatchKmsKeyId,
    InvalidParameterKmsKeyIdNotFound,
    InvalidRegionIdNotSupportEncryptAlgorithm,
    NotSupportSnapshotEncryptedDiskCategory,
)

_KEYS = uuid.UUID("4c4d3b9e-0f0a-5c56-9d5e-6b1d0a2f7c31")  # A name space of ours, made once.
_ALGORITHM = "AES-256"

KmsKeyId = Annotated[
    str | None,
    Wire("KMSKeyId"),
    Doc(
        "The key, with Encrypted alone: the one that the account has in the region, which is the default. Answers "
        "of encrypted disks and snapshots tell its ID."
    ),
]
EncryptAlgorithm = Annotated[
    str | None,
    OneOf((_ALGORITHM, "SM4-128"), InvalidEncryptAlgorithm),
    Doc("The algorithm, with Encrypted alone: AES-256, which is the default."),
]


Encrypted = Annotated[
    bool | None,
    Doc("true: a blank disk is encrypted. One that is made of something is as that is, which nothing here changes."),
]
EncryptedText = Annotated[str | None, OneOf(("true", "false"), any_case=True), Encrypted.__metadata__[0]]


@dataclass(frozen=True, kw_only=True)
class EncryptionWish:
    """How a disk is to be encrypted, as far as the caller says it."""

    encrypted: bool
    key: str | None = None
    algorithm: str | None = None


def is_true(text: str | None) -> bool:
    """What ``EncryptedText`` says."""
    return (text or "").lower() == "true"


def key_for(
    call: Call, region: str, wish: EncryptionWish, source_key: str | None, mismatch: ApiError | None = None
) -> str:
    """The key of a disk that is made of what is encrypted with *source_key* ("": not at all), or blank (None).

    Raises what ERRORS_OF_DISKS lists; *mismatch*, where it is given, of a source that has not the key that is wished.
    """
    if not wish.encrypted:
        if wish.key:
            raise InvalidEncryptedNotMatchKmsKeyId(kms_key_id=wish.key)
        if wish.algorithm:
            raise InvalidEncryptedNotMatchEncryptAlgorithm(parameter="EncryptAlgorithm")
        return source_key or ""
    key = choose_key(call, region, wish.key, wish.algorithm)
    if source_key not in (None, key):
        raise mismatch or NotSupportSnapshotEncryptedDiskCategory
    return key


def key_of(account: str, region: str) -> str:
    """The ID of the key that the account has in the region."""
    return str(uuid.uuid5(_KEYS, f"{account}/{region}"))


def choose_key(call: Call, region: str, named: str | None, algorithm: str | None = None) -> str:
    """The key for what is to be encrypted in the region; there is none where its pool keeps nothing encrypted.

    Raises InvalidParameterKmsKeyIdNotFound, InvalidRegionIdNotSupportEncryptAlgorithm.
    """
    if not call.ports.pool.encrypts:
        raise InvalidRegionIdNotSupportEncryptAlgorithm(encrypt_algorithm=algorithm or _ALGORITHM)
    own = key_of(call.account, region)
    if named and named != own:
        raise InvalidParameterKmsKeyIdNotFound(kms_key_id=named)
    if algorithm and algorithm != _ALGORITHM:
        raise InvalidRegionIdNotSupportEncryptAlgorithm(encrypt_algorithm=algorithm)
    return own


ERRORS_OF_DISKS: tuple[type[ApiError], ...] = (
    InvalidEncryptedNotMatchKmsKeyId,
    InvalidEncryptedNotMatchEncryptAlgorithm,
    InvalidParameterKmsKeyIdNotFound,
    InvalidRegionIdNotSupportEncryptAlgorithm,
    NotSupportSnapshotEncryptedDiskCategory,
)
ERRORS: tuple[type[ApiError], ...] = (InvalidParameterKmsKeyIdNotFound, InvalidRegionIdNotSupportEncryptAlgorithm)
