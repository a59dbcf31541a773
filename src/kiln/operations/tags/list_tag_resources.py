"""List the tags of resources, by resource and key.

The resources are those of the IDs, or those that have all of the given tags, or
those for which both holds; all of their tags are in the answer. What is unknown
or another account's is no error: it is not in the answer.
"""

from __future__ import annotations

from typing import Annotated

from kiln.calls.call import Call
from kiln.declare.errors import ApiError
from kiln.declare.operation import Operation
from kiln.declare.rules import Count, Doc, Example
from kiln.declare.shapes import shape
from kiln.operations.filters import InvalidTagMismatch, TagFilter, by_nothing
from kiln.operations.paging import open_position, seal_position
from kiln.operations.params import NextToken
from kiln.operations.tags.parts import tagging
from kiln.store.conditions import Condition
from kiln.store.resources import carries, list_tags, owned, shown
from kiln.store.tags import tags

_PAGE_SIZE = 100


class BothEmptyTagsAndResources(ApiError):
    """Neither resources nor tags were given."""

    code = "BothEmpty.TagsAndResources"
    status = 403
    message = "The specified Tags and ResourcesIds are not allow to both empty."


class InvalidTagsMalFormed(ApiError):
    """Both Tag.N and TagFilter.N were sent."""

    code = "InvalidTags.MalFormed"
    message = "The tags must be empty, when the tagFilters is not empty."


class NumberExceedTagValues(ApiError):
    """More than five values of one TagFilter."""

    code = "NumberExceed.TagValues"
    status = 403
    message = "The number of the specified TagValues is beyond permitted range, the max is 5."


class InvalidTagFilterMalformed(ApiError):
    """A TagFilter without a key."""

    code = "InvalidTagFilter.Malformed"
    status = 403
    message = "The specified TagFilter is not valid."


class InvalidNextToken(ApiError):
    """The token is none that an answer had."""

    code = "Invalid.NextToken"
    status = 403
    message = "The specified NextToken is not valid."


@shape
class AnyOfInput:
    """A key, with any of some values."""

    tag_key: Annotated[str | None, Example("KeyTest"), Doc("The key.")] = None
    tag_values: Annotated[
        tuple[str, ...] | None,
        Count(5, NumberExceedTagValues),
        Example("ValueTest"),
        Doc("Any of these values will do, up to 5; without them, any value."),
    ] = None


@shape
class Input:
    region_id: tagging.Region
    resource_type: tagging.ResourceType
    resource_id: Annotated[
        tuple[str, ...] | None,
        Count(50, tagging.NumberExceedResourceIds),
        Example("m-bp146shijn7hujku8a5c"),
        Doc("The resources, up to 50."),
    ] = None
    tag: Annotated[
        tuple[TagFilter, ...] | None,
        Count(20, tagging.NumberExceedTags),
        Doc("Only resources that have all these tags."),
    ] = None
    tag_filter: Annotated[
        tuple[AnyOfInput, ...] | None,
        Count(20, tagging.NumberExceedTags),
        Doc("Only resources that have each of these keys with one of its values. Not together with Tag.N."),
    ] = None
    next_token: NextToken | None = None


@shape
class TagResourceOutput:
    """One tag of one resource."""

    resource_id: Annotated[str, Doc("The resource.")]
    resource_type: Annotated[str, Doc("What it is.")]
    tag_key: Annotated[str, Doc("The key.")]
    tag_value: Annotated[str, Doc("The value.")]


@shape
class TagResourcesOutput:
    """Tags."""

    tag_resource: Annotated[tuple[TagResourceOutput, ...], Doc("The tags.")]


@shape
class Output:
    tag_resources: Annotated[TagResourcesOutput, Doc("Up to 100 tags.")]
    next_token: Annotated[str, Doc("To be sent for what follows; empty when nothing does.")]


def check(call: Call, p: Input) -> Output:
    if not p.resource_id and not p.tag and not p.tag_filter:
        raise BothEmptyTagsAndResources
    if p.tag and p.tag_filter:
        raise InvalidTagsMalFormed
    kind = p.resource_type.lower()
    found = list_tags(
        call.tx,
        kind,
        call.account,
        p.region_id,
        conditions=_conditions(call, kind, p),
        after=_position(call, p) if p.next_token else None,
        limit=_PAGE_SIZE + 1,  # One more than is shown tells whether there is a next page.
    )
    page = found[:_PAGE_SIZE]
    called = shown(call.tx, kind, sorted({tag.resource for tag in page}))
    return Output(
        tag_resources=TagResourcesOutput(
            tag_resource=tuple(
                TagResourceOutput(
                    resource_id=called[tag.resource], resource_type=kind, tag_key=tag.key, tag_value=tag.value
                )
                for tag in page
            )
        ),
        next_token=seal_position(call, p, [page[-1].resource, page[-1].key]) if len(found) > _PAGE_SIZE else "",
    )


def _conditions(call: Call, kind: str, p: Input) -> list[Condition]:
    conditions = by_nothing(p.tag) + by_nothing(p.tag_filter)
    if p.resource_id is not None:
        conditions.append(tags.c.resource.in_(owned(call.tx, kind, call.account, p.region_id, p.resource_id).values()))
    for tag in p.tag or ():
        if tag.key is None:
            raise InvalidTagMismatch
        conditions.append(carries(kind, tag.key, None if tag.value is None else [tag.value]))
    for wanted in p.tag_filter or ():
        if wanted.tag_key is None:
            raise InvalidTagFilterMalformed
        conditions.append(carries(kind, wanted.tag_key, wanted.tag_values))
    return conditions


def _position(call: Call, p: Input) -> tuple[str, str]:
    position = open_position(call, p, p.next_token or "", [str, str])
    if position is None:
        raise InvalidNextToken(token=p.next_token)
    return position[0], position[1]


list_tag_resources = Operation(
    input=Input,
    output=Output,
    check=check,
    errors=(
        BothEmptyTagsAndResources,
        InvalidTagsMalFormed,
        InvalidTagMismatch,
        InvalidTagFilterMalformed,
        InvalidNextToken,
    ),
)
