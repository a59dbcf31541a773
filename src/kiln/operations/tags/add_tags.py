"""Put tags on one resource; a key that it has already gets the new value.

The older form of TagResources, which some clients still use.
"""

from __future__ import annotations

from typing import Annotated

from kiln.calls.call import Call
from kiln.declare.operation import Operation
from kiln.declare.rules import Count, Doc, Example, OneOf, Unordered
from kiln.declare.shapes import shape
from kiln.ground.values import dataclass
from kiln.operations.errors.regions import InvalidRegionIdNotFoundSpecified
from kiln.operations.errors.tags import (
    DuplicateTagKey,
    InvalidResourceIdNotFoundOfOne,
    InvalidTagCount,
    InvalidTagKeyMalformed,
    QuotaExceedTags,
)
from kiln.operations.params import NothingMore, RegionId, TagInput, to_pairs
from kiln.operations.tags.parts import tagging
from kiln.store import tags
from kiln.store.resources import KINDS


@shape
class Input:
    region_id: RegionId
    resource_type: Annotated[
        str, OneOf(tuple(KINDS), tagging.InvalidResourceTypeNotFound, any_case=True), Doc("What the resource is.")
    ]
    resource_id: Annotated[str, Example("m-bp146shijn7hujku8a5c"), Doc("The resource.")]
    tag: Annotated[tuple[TagInput, ...], Unordered(), Count(20, InvalidTagCount), Doc("The tags, up to 20.")]


@dataclass(frozen=True, kw_only=True)
class Plan:
    kind: str
    resource: str
    pairs: dict[str, str]


def check(call: Call, p: Input) -> Plan:
    pairs = to_pairs(p.tag)
    kind = p.resource_type.lower()
    (resource,) = tagging.find_owned(call, kind, p.region_id, [p.resource_id], InvalidResourceIdNotFoundOfOne)
    tagging.check_room(call, kind, [resource], pairs)
    return Plan(kind=kind, resource=resource, pairs=pairs)


def commit(call: Call, plan: Plan) -> NothingMore:
    tags.put(call.tx, call.account, plan.kind, plan.resource, plan.pairs)
    return NothingMore()


add_tags = Operation(
    input=Input,
    output=NothingMore,
    check=check,
    commit=commit,
    unknown_region=InvalidRegionIdNotFoundSpecified,
    errors=(InvalidTagKeyMalformed, DuplicateTagKey, InvalidResourceIdNotFoundOfOne, QuotaExceedTags),
)
