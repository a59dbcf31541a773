"""What the tag operations share: the sorts of resources, whose they are, and how many tags one may have.

Source: ecs-api.md 7. What is missing is said with status 404 and a code of its
own for each parameter, unlike everywhere else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

from kiln.calls.call import Call
from kiln.declare.errors import ApiError
from kiln.declare.rules import Count, Doc, Example, Missing, OneOf, Unordered
from kiln.operations.errors.tags import InvalidResourceTypeNotFound, QuotaExceedTags
from kiln.operations.params import RegionId
from kiln.store import tags
from kiln.store.resources import KINDS, owned


class MissingParameterRegionId(ApiError):
    """RegionId was not sent."""

    code = "MissingParameter.RegionId"
    status = 404
    message = "The parameter - RegionId should not be null."


class MissingParameterResourceType(ApiError):
    """ResourceType was not sent."""

    code = "MissingParameter.ResourceType"
    status = 404
    message = "The parameter - ResourceType should not be null."


class MissingParameterResourceIds(ApiError):
    """No ResourceId.N was sent."""

    code = "MissingParameter.ResourceIds"
    status = 404
    message = "The parameter - ResourceIds.N should not be null."


class MissingParameterTags(ApiError):
    """No tag was sent."""

    code = "MissingParameter.Tags"
    status = 404
    message = "The parameter - Tags should not be null."


class NumberExceedResourceIds(ApiError):
    """More than 50 resources."""

    code = "NumberExceed.ResourceIds"
    message = "The ResourceIds parameter's number is exceed , Valid : 50."


class NumberExceedTags(ApiError):
    """More than 20 tags."""

    code = "NumberExceed.Tags"
    message = "The Tags parameter's number is exceed , Valid : 20."


class InvalidResourceIdNotFound(ApiError):
    """One of the resources is none of the account's in the region."""

    code = "InvalidResourceId.NotFound"
    status = 404
    message = "The specified ResourceIds are not found in our records."


Region = Annotated[RegionId, Missing(MissingParameterRegionId)]
ResourceType = Annotated[
    str,
    OneOf(tuple(KINDS), InvalidResourceTypeNotFound, any_case=True),
    Missing(MissingParameterResourceType),
    Doc("What the resources are."),
]
ResourceIds = Annotated[
    tuple[str, ...],
    Unordered(),
    Count(50, NumberExceedResourceIds),
    Missing(MissingParameterResourceIds),
    Example("m-bp146shijn7hujku8a5c"),
    Doc("The resources, up to 50."),
]


def find_owned(
    call: Call,
    kind: str,
    region: str,
    called: Sequence[str],
    unknown: type[ApiError] = InvalidResourceIdNotFound,
) -> tuple[str, ...]:
    """Their IDs, each once. Raises *unknown* unless every one of the resources is the caller's, in the region."""
    found = owned(call.tx, kind, call.account, region, called)
    missing = set(called) - found.keys()
    if missing:
        raise unknown(resource_ids=sorted(missing))
    return tuple(dict.fromkeys(found.values()))


def check_room(call: Call, kind: str, ids: Sequence[str], pairs: Mapping[str, str]) -> None:
    """Raise QuotaExceedTags if one of the resources would have more tags than it may."""
    limit = call.deployment.quotas.tags_per_resource
    for resource, present in tags.of(call.tx, kind, ids).items():
        if len(pairs.keys() | {tag.key for tag in present}) > limit:
            raise QuotaExceedTags(rule=f"{resource} may have {limit}")
