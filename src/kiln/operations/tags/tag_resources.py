"""Put tags on resources; a key that a resource has already gets the new value.

Images, snapshots, disks, instances, key pairs, security groups and launch
templates have tags, up to 20 each; a key pair is named by its name. Either all
of the resources get all of the tags, or none gets any.
"""

from __future__ import annotations

from typing import Annotated

from kiln.calls.call import Call
from kiln.declare.operation import Operation
from kiln.declare.rules import Count, Doc, Missing, Unordered
from kiln.declare.shapes import shape
from kiln.ground.values import dataclass
from kiln.operations.errors.tags import DuplicateTagKey, InvalidTagKeyMalformed, QuotaExceedTags
from kiln.operations.params import NothingMore, TagInput, to_pairs
from kiln.operations.tags.parts import tagging
from kiln.store import tags


@shape
class Input:
    region_id: tagging.Region
    resource_type: tagging.ResourceType
    resource_id: tagging.ResourceIds
    tag: Annotated[
        tuple[TagInput, ...],
        Unordered(),
        Count(20, tagging.NumberExceedTags),
        Missing(tagging.MissingParameterTags),
        Doc("The tags, up to 20."),
    ]


@dataclass(frozen=True, kw_only=True)
class Plan:
    kind: str
    resources: tuple[str, ...]
    pairs: dict[str, str]


def check(call: Call, p: Input) -> Plan:
    pairs = to_pairs(p.tag)
    kind = p.resource_type.lower()
    resources = tagging.find_owned(call, kind, p.region_id, p.resource_id)
    tagging.check_room(call, kind, resources, pairs)
    return Plan(kind=kind, resources=resources, pairs=pairs)


def commit(call: Call, plan: Plan) -> NothingMore:
    for resource in plan.resources:
        tags.put(call.tx, call.account, plan.kind, resource, plan.pairs)
    return NothingMore()


tag_resources = Operation(
    input=Input,
    output=NothingMore,
    check=check,
    commit=commit,
    errors=(InvalidTagKeyMalformed, DuplicateTagKey, tagging.InvalidResourceIdNotFound, QuotaExceedTags),
)
