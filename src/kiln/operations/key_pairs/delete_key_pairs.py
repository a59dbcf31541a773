"""Delete up to 100 key pairs that no instance has.

Either all of them go or none does. A name that no key pair has is passed over.
"""

from __future__ import annotations

from typing import Annotated

from kiln.calls.call import Call
from kiln.declare.errors import ApiError
from kiln.declare.operation import Operation
from kiln.declare.rules import Composed, Count, Doc, Example, JsonList, Unordered
from kiln.declare.shapes import shape
from kiln.operations.params import NothingMore, RegionId
from kiln.store import tags
from kiln.store.key_pairs import attached, key_pairs


class InvalidKeyPairNamesValueNotSupported(ApiError):
    """KeyPairNames is no list of names, or an empty one."""

    code = "InvalidKeyPairNames.ValueNotSupported"
    message = 'The specified parameter "KeyPairNames" is not valid.'


class InvalidParameterKeypairAlreadyAttachedInstance(ApiError):
    """An instance has one of the key pairs."""

    code = "InvalidParameter.KeypairAlreadyAttachedInstance"
    message = 'The specified parameter "KeyPairNames" attached to instances can not be deleted.'
    hint = (
        "`kiln instance list --key-pair-name NAME` lists the instances, and `kiln key-pair detach NAME INSTANCE` takes "
        "it from them."
    )


class InstanceKeyPairLimitExceededOfDelete(ApiError):
    """More than 100 names."""

    code = "InstanceKeyPairLimitExceeded"
    status = 403
    message = "Exceeding the allowed amount of instance which will be deleted."


@shape
class Input:
    region_id: RegionId
    key_pair_names: Annotated[
        tuple[str, ...],
        JsonList(InvalidKeyPairNamesValueNotSupported),
        Composed(),
        Unordered(),
        Count(100, InstanceKeyPairLimitExceededOfDelete),
        Example('["testKeyPairName"]'),
        Doc("The names, up to 100."),
    ]


def check(call: Call, p: Input) -> list[str]:
    if not p.key_pair_names:
        raise InvalidKeyPairNamesValueNotSupported
    taken = attached(call.tx, call.account, p.region_id, p.key_pair_names)
    found = key_pairs.among(call.tx, "name", p.key_pair_names, account=call.account, region=p.region_id)
    if any(row.name in taken for row in found):
        raise InvalidParameterKeypairAlreadyAttachedInstance(key_pair_names=sorted(taken))
    return [row.id for row in found]


def commit(call: Call, ids: list[str]) -> NothingMore:
    for one in ids:
        tags.drop(call.tx, "keypair", one)
        key_pairs.delete(call.tx, id=one)
    return NothingMore()


delete_key_pairs = Operation(
    input=Input,
    output=NothingMore,
    check=check,
    commit=commit,
    gives_back=True,
    errors=(InvalidKeyPairNamesValueNotSupported, InvalidParameterKeypairAlreadyAttachedInstance),
)
