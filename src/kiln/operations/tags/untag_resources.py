"""Take tags off resources, those of some keys or all.

A key that a resource does not have is no error. Either all of the resources
lose the tags, or none does.
"""

from __future__ import annotations

from typing import Annotated

from kiln.calls.call import Call
from kiln.declare.errors import ApiError
from kiln.declare.operation import Operation
from kiln.declare.rules import Count, Doc, Example
from kiln.declare.shapes import shape
from kiln.ground.values import dataclass
from kiln.operations.params import NothingMore
from kiln.operations.tags.parts import tagging
from kiln.store import tags


class ParamConflict(ApiError):
    """Both All and TagKey.N were sent."""

    code = "Param.Conflict"
    status = 403
    message = "The specified all is true, but the specified TagKey.N is not empty."


@shape
class Input:
    region_id: tagging.Region
    resource_type: tagging.ResourceType
    resource_id: tagging.ResourceIds
    tag_key: Annotated[
        tuple[str, ...], Count(20, tagging.NumberExceedTags), Example("KeyTest"), Doc("The keys, up to 20.")
    ] = ()
    all: Annotated[bool, Doc("Take off every tag. Not together with TagKey.N.")] = False


@dataclass(frozen=True, kw_only=True)
class Plan:
    kind: str
    resources: tuple[str, ...]
    keys: tuple[str, ...]  #: Empty: all.


def check(call: Call, p: Input) -> Plan:
    if p.all and p.tag_key:
        raise ParamConflict
    if not p.all and not p.tag_key:
        raise tagging.MissingParameterTags
    kind = p.resource_type.lower()
    resources = tagging.find_owned(call, kind, p.region_id, p.resource_id)
    return Plan(kind=kind, resources=resources, keys=p.tag_key)


def commit(call: Call, plan: Plan) -> NothingMore:
    narrowed = (tags.tags.c.key.in_(plan.keys),) if plan.keys else ()
    tags.tags.delete(call.tx, tags.tags.c.resource.in_(plan.resources), *narrowed, resource_type=plan.kind)
    return NothingMore()


untag_resources = Operation(
    input=Input,
    output=NothingMore,
    check=check,
    commit=commit,
    errors=(ParamConflict, tagging.MissingParameterTags, tagging.InvalidResourceIdNotFound),
)
