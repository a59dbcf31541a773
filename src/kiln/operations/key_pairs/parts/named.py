"""What the operations on key pairs share: names, and making a row that has a new one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from kiln.calls.call import Call
from kiln.declare.errors import ApiError
from kiln.declare.ids import new_id
from kiln.declare.rules import Composed, Count, Doc, Example, Name, Unordered
from kiln.operations.errors.tags import DuplicateTagKey, InvalidTagKeyMalformed, QuotaExceedTags
from kiln.operations.params import TagInput
from kiln.operations.steps import resource_groups
from kiln.operations.steps.resource_groups import InvalidResourceGroupNotFound
from kiln.store import tags
from kiln.store.key_pairs import KeyPair, key_pairs


class InvalidKeyPairNameMalformed(ApiError):
    """A key pair's name breaks the rule for names."""

    code = "InvalidKeyPairName.Malformed"
    message = "Specified Key Pair name is not valid."


class KeyPairAlreadyExist(ApiError):
    """The account has a key pair of that name in the region."""

    code = "KeyPair.AlreadyExist"
    message = "The key pair already exist."


class QuotaExceedKeyPair(ApiError):
    """The account has as many key pairs in the region as it may."""

    code = "QuotaExceed.KeyPair"
    status = 403
    message = "The key pair quota exceeds."


NewName = Annotated[
    str,
    Name(2, 128, InvalidKeyPairNameMalformed, any_script=True),
    Example("testKeyPairName"),
    Doc("The name of the key pair, unique in the account and region."),
]
#: Of a key pair that is there: what has no such name is not found, whatever rule it breaks.
OldName = Annotated[str, Composed(), Example("testKeyPairName"), Doc("The name of the key pair.")]
NewTags = Annotated[
    tuple[TagInput, ...], Unordered(), Count(20, QuotaExceedTags), Doc("Tags of the key pair, up to 20.")
]

NEW_ERRORS: tuple[type[ApiError], ...] = (
    KeyPairAlreadyExist,
    QuotaExceedKeyPair,
    InvalidResourceGroupNotFound,
    InvalidTagKeyMalformed,
    DuplicateTagKey,
)


def check_new(call: Call, region: str, name: str, resource_group: str | None) -> None:
    """Raise KeyPairAlreadyExist, QuotaExceedKeyPair, InvalidResourceGroupNotFound."""
    resource_groups.check_there(call, resource_group)
    if key_pairs.find(call.tx, account=call.account, region=region, name=name) is not None:
        raise KeyPairAlreadyExist(key_pair_name=name)
    if key_pairs.count(call.tx, account=call.account, region=region) >= call.deployment.quotas.key_pairs:
        raise QuotaExceedKeyPair


def draft(
    call: Call, *, region: str, name: str, public_key: str, fingerprint: str, resource_group: str | None
) -> KeyPair:
    """The row of a new key pair."""
    return KeyPair(
        id=new_id("key_pair"),
        account=call.account,
        region=region,
        name=name,
        public_key=public_key,
        fingerprint=fingerprint,
        resource_group=resource_group or "",
        created_at=call.now,
    )


def record(call: Call, row: KeyPair, labels: Mapping[str, str]) -> None:
    """Write a new key pair down."""
    key_pairs.insert(call.tx, row)
    tags.add(call.tx, call.account, "keypair", row.id, labels)
