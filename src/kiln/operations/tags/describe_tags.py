"""List the tags that resources have, by key and value, and how many resources of each sort have each.

The older form of ListTagResources, which some clients still use. Of several
Tag.N each shows what it names.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Annotated

from kiln.calls.call import Call
from kiln.declare.errors import ApiError
from kiln.declare.operation import Operation
from kiln.declare.rules import Count, Doc, Example, OneOf
from kiln.declare.shapes import shape
from kiln.operations.errors.regions import InvalidRegionIdNotFoundSpecified
from kiln.operations.errors.tags import InvalidTagCount
from kiln.operations.filters import InvalidTagMismatch, TagFilter, by_nothing
from kiln.operations.params import PageNumber, PageSize100, RegionId
from kiln.operations.tags.parts import tagging
from kiln.store import tags
from kiln.store.conditions import NOTHING, Condition, any_of
from kiln.store.resources import KINDS, owned, used

_PAGE_SIZE = 50  #: ecs-api.md 7, DescribeTags.

#: The fields of a count, by the sort of resource.
_FIELDS = {
    "image": "image",
    "snapshot": "snapshot",
    "disk": "disk",
    "instance": "instance",
    "keypair": "key_pair",
    "securitygroup": "securitygroup",
    "eni": "eni",
    "launchtemplate": "launch_template",
    "snapshotpolicy": "snapshot_policy",
}


class InvalidTagCategory(ApiError):
    """The category is none of the documented ones."""

    code = "Invalid.TagCategory"
    message = "The parameter Category is illegal."


@shape
class Input:
    region_id: RegionId
    resource_type: Annotated[
        str | None,
        OneOf(tuple(KINDS), tagging.InvalidResourceTypeNotFound, any_case=True),
        Doc("Only tags of such resources."),
    ] = None
    resource_id: Annotated[str | None, Example("m-bp146shijn7hujku8a5c"), Doc("Only tags of this resource.")] = None
    tag: Annotated[
        tuple[TagFilter, ...] | None,
        Count(20, InvalidTagCount),
        Doc("Only tags of one of these keys, with its value if one is given."),
    ] = None
    category: Annotated[
        str,
        OneOf(("all", "custom", "system"), InvalidTagCategory, any_case=True),
        Doc("Only tags that users made, or those of the system, of which there are none."),
    ] = "all"
    page_number: PageNumber | None = None
    page_size: Annotated[PageSize100 | None, Doc("Rows a page; 50 when not given.")] = None


@shape
class CountOutput:
    """How many resources of each sort."""

    instance: Annotated[int, Doc("Instances.")] = 0
    disk: Annotated[int, Doc("Disks.")] = 0
    image: Annotated[int, Doc("Images.")] = 0
    snapshot: Annotated[int, Doc("Snapshots.")] = 0
    key_pair: Annotated[int, Doc("Key pairs.")] = 0
    securitygroup: Annotated[int, Doc("Security groups.")] = 0
    eni: Annotated[int, Doc("Network interfaces.")] = 0
    volume: Annotated[int, Doc("Always 0.")] = 0
    ddh: Annotated[int, Doc("Always 0.")] = 0
    launch_template: Annotated[int, Doc("Launch templates.")] = 0
    reserved_instance: Annotated[int, Doc("Always 0.")] = 0
    snapshot_policy: Annotated[int, Doc("Policies for automatic snapshots.")] = 0


@shape
class UsedTagOutput:
    """One tag, and where it is."""

    tag_key: Annotated[str, Doc("The key.")]
    tag_value: Annotated[str, Doc("The value.")]
    resource_type_count: Annotated[CountOutput, Doc("How many resources have it.")]


@shape
class UsedTagsOutput:
    """Tags."""

    tag: Annotated[tuple[UsedTagOutput, ...], Doc("The tags of this page.")]


@shape
class Output:
    tags: Annotated[UsedTagsOutput, Doc("The tags.")]
    total_count: Annotated[int, Doc("How many tags there are on all pages.")]
    page_number: Annotated[int, Doc("The page.")]
    page_size: Annotated[int, Doc("Tags a page.")]


def check(call: Call, p: Input) -> Output:
    kinds = [p.resource_type.lower()] if p.resource_type else list(_FIELDS.keys() & KINDS.keys())
    counts: dict[tuple[str, str], dict[str, int]] = defaultdict(dict)
    for one in used(call.tx, call.account, p.region_id, kinds, _conditions(call, p, kinds)):
        counts[one.key, one.value][_FIELDS[one.kind]] = one.count
    number, size = p.page_number or 1, p.page_size or _PAGE_SIZE
    page = sorted(counts)[(number - 1) * size : number * size]
    drawn = tuple(
        UsedTagOutput(tag_key=key, tag_value=value, resource_type_count=CountOutput(**counts[key, value]))
        for key, value in page
    )
    return Output(tags=UsedTagsOutput(tag=drawn), total_count=len(counts), page_number=number, page_size=size)


def _conditions(call: Call, p: Input, kinds: list[str]) -> list[Condition]:
    conditions = by_nothing(p.tag)
    if p.category.lower() == "system":
        conditions.append(NOTHING)
    if p.resource_id is not None:
        ids = [owned(call.tx, kind, call.account, p.region_id, [p.resource_id]) for kind in kinds]
        conditions.append(tags.tags.c.resource.in_([one for found in ids for one in found.values()]))
    if p.tag:
        conditions.append(any_of(_is(tag) for tag in p.tag))
    return conditions


def _is(tag: TagFilter) -> Condition:
    if tag.key is None:
        raise InvalidTagMismatch
    named: Condition = tags.tags.c.key == tag.key
    return named if tag.value is None else named & (tags.tags.c.value == tag.value)


describe_tags = Operation(
    input=Input,
    output=Output,
    check=check,
    unknown_region=InvalidRegionIdNotFoundSpecified,
    errors=(InvalidTagMismatch,),
)
