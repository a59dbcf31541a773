"""Take tags off one resource: those of a key, or only where the value is the given one.

The older form of UntagResources, which some clients still use. A tag that the
resource does not have is no error.
"""

from __future__ import annotations

from typing import Annotated

from kiln.calls.call import Call
from kiln.declare.operation import Operation
from kiln.declare.rules import Count, Doc, Example, OneOf, Unordered
from kiln.declare.shapes import shape
from kiln.ground.values import dataclass
from kiln.operations.errors.regions import InvalidRegionIdNotFoundSpecified
from kiln.operations.errors.tags import InvalidResourceIdNotFoundOfOne, InvalidTagCount, InvalidTagKeyMalformed
from kiln.operations.params import NothingMore, RegionId, TagInput
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
    tag: Annotated[
        tuple[TagInput, ...],
        Unordered(),
        Count(20, InvalidTagCount),
        Doc("The tags, up to 20. Without a Value, whatever it is."),
    ]


@dataclass(frozen=True, kw_only=True)
class Plan:
    kind: str
    resource: str
    wanted: tuple[tuple[str, str | None], ...]  #: Keys, with the value that is meant; None is any.


def check(call: Call, p: Input) -> Plan:
    if not p.tag:
        # Whoever made an empty list meant no tag, and not all of them.
        raise InvalidTagCount
    wanted: list[tuple[str, str | None]] = []
    for tag in p.tag:
        if not tag.key:
            raise InvalidTagKeyMalformed(parameter="Tag.N.Key")
        wanted.append((tag.key, tag.value))
    kind = p.resource_type.lower()
    (resource,) = tagging.find_owned(call, kind, p.region_id, [p.resource_id], InvalidResourceIdNotFoundOfOne)
    return Plan(kind=kind, resource=resource, wanted=tuple(wanted))


def commit(call: Call, plan: Plan) -> NothingMore:
    for key, value in plan.wanted:
        narrowed = {} if value is None else {"value": value}
        tags.tags.delete(call.tx, resource_type=plan.kind, resource=plan.resource, key=key, **narrowed)
    return NothingMore()


remove_tags = Operation(
    input=Input,
    output=NothingMore,
    check=check,
    commit=commit,
    unknown_region=InvalidRegionIdNotFoundSpecified,
    errors=(InvalidTagCount, InvalidTagKeyMalformed, InvalidResourceIdNotFoundOfOne),
)
