"""Bring in the public key of a key pair that was made elsewhere.

One line as OpenSSH writes it to `id_ed25519.pub`, of an RSA, ECDSA or Ed25519
key. DSA keys and certificates are refused: the sshd of a guest takes neither as
a key.
"""

from __future__ import annotations

from typing import Annotated

from kiln.calls.call import Call
from kiln.declare.errors import ApiError
from kiln.declare.operation import Operation
from kiln.declare.rules import Doc, Example
from kiln.declare.shapes import shape
from kiln.ground.values import dataclass
from kiln.operations.key_pairs.parts import named, public_keys
from kiln.operations.key_pairs.parts.named import NewName, NewTags
from kiln.operations.params import RegionId, ResourceGroupId, to_pairs
from kiln.store.key_pairs import KeyPair


class InvalidPublicKeyBodyMalformed(ApiError):
    """The public key is no line of OpenSSH, or of a kind that guests do not take."""

    code = "InvalidPublicKeyBody.Malformed"
    message = "The PublicKeyBody format is not supported."
    hint = "Give the one line of a .pub file of ssh-keygen, of an RSA, ECDSA or Ed25519 key."


@shape
class Input:
    region_id: RegionId
    key_pair_name: NewName
    public_key_body: Annotated[
        str,
        Example("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB2v6ljhWjXOGgkV7cSLxqyF3OnXNkKGDvUBJQYMsKrR"),
        Doc("The public key, as OpenSSH writes it."),
    ]
    resource_group_id: ResourceGroupId | None = None
    tag: NewTags = ()


@shape
class Output:
    key_pair_name: Annotated[str, Doc("The name of the key pair.")]
    key_pair_finger_print: Annotated[str, Doc("The MD5 of the public key.")]


@dataclass(frozen=True, kw_only=True)
class Plan:
    row: KeyPair
    tags: dict[str, str]


def check(call: Call, p: Input) -> Plan:
    pairs = to_pairs(p.tag)
    line = public_keys.read(p.public_key_body)
    if line is None:
        raise InvalidPublicKeyBodyMalformed
    named.check_new(call, p.region_id, p.key_pair_name, p.resource_group_id)
    row = named.draft(
        call,
        region=p.region_id,
        name=p.key_pair_name,
        public_key=line,
        fingerprint=public_keys.fingerprint_of(line),
        resource_group=p.resource_group_id,
    )
    return Plan(row=row, tags=pairs)


def commit(call: Call, plan: Plan) -> Output:
    named.record(call, plan.row, plan.tags)
    return Output(key_pair_name=plan.row.name, key_pair_finger_print=plan.row.fingerprint)


import_key_pair = Operation(
    input=Input,
    output=Output,
    check=check,
    commit=commit,
    errors=(InvalidPublicKeyBodyMalformed, *named.NEW_ERRORS),
)
