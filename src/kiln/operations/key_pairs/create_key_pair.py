"""Make a key pair for ssh, and tell its private key, once.

Kiln keeps the public key alone: whoever loses the private key makes another
pair. It is an RSA key of 2048 bits in PEM, as `ssh -i` takes it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from kiln.calls.call import Call
from kiln.declare.operation import Operation
from kiln.declare.rules import Doc, Example, Secret
from kiln.declare.shapes import shape
from kiln.ground.values import dataclass
from kiln.operations.key_pairs.parts import named, public_keys
from kiln.operations.key_pairs.parts.named import NewName, NewTags
from kiln.operations.params import RegionId, ResourceGroupId, to_pairs

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey


@shape
class Input:
    region_id: RegionId
    key_pair_name: NewName
    resource_group_id: ResourceGroupId | None = None
    tag: NewTags = ()


@shape
class Output:
    key_pair_id: Annotated[str, Example("ssh-bp67acfmxazb4p2k8s1d"), Doc("The ID of the key pair.")]
    key_pair_name: Annotated[str, Doc("The name of the key pair.")]
    key_pair_finger_print: Annotated[
        str, Example("89:f0:ba:62:ac:b8:aa:e1:61:5e:fd:81:69:86:6d:6b"), Doc("The MD5 of the public key.")
    ]
    private_key_body: Annotated[
        str, Secret(), Doc("The private key, unencrypted, in PEM. It is told here and nowhere else.")
    ]


@dataclass(frozen=True, kw_only=True)
class Plan:
    region: str
    name: str
    resource_group: str | None
    tags: dict[str, str]


def prepare(p: Input) -> RSAPrivateKey:
    """A new key: it takes a fifth of a second, in which nobody could write."""
    del p
    return public_keys.new_key()


def check(call: Call, p: Input) -> Plan:
    pairs = to_pairs(p.tag)
    named.check_new(call, p.region_id, p.key_pair_name, p.resource_group_id)
    return Plan(region=p.region_id, name=p.key_pair_name, resource_group=p.resource_group_id, tags=pairs)


def commit(call: Call, plan: Plan) -> Output:
    key: RSAPrivateKey = call.prepared
    line = public_keys.line_of(key)
    row = named.draft(
        call,
        region=plan.region,
        name=plan.name,
        public_key=line,
        fingerprint=public_keys.fingerprint_of(line),
        resource_group=plan.resource_group,
    )
    named.record(call, row, plan.tags)
    return Output(
        key_pair_id=row.id,
        key_pair_name=row.name,
        key_pair_finger_print=row.fingerprint,
        private_key_body=public_keys.private_text_of(key),
    )


create_key_pair = Operation(
    input=Input,
    output=Output,
    prepare=prepare,
    check=check,
    commit=commit,
    errors=named.NEW_ERRORS,
)
