"""List resource groups: the default group, those that every account has, and the account's own, the oldest first.

All filters that are sent must hold.
"""

from __future__ import annotations

from typing import Annotated

from kiln.calls.call import Call
from kiln.declare.operation import Operation
from kiln.declare.rules import Count, Doc, OneOf
from kiln.declare.shapes import shape
from kiln.operations.paging import DEFAULT_SIZE
from kiln.operations.params import PageNumber, PageSize100
from kiln.operations.resource_groups.parts.groups import GroupId, GroupOutput, IncludeTags, in_list
from kiln.operations.steps.resource_groups import Group, of_account

_STATUSES = ("Creating", "OK", "PendingDelete", "Deleting")


@shape
class Input:
    status: Annotated[str | None, OneOf(_STATUSES), Doc("Only groups in this status; here all are OK.")] = None
    resource_group_id: Annotated[GroupId | None, Doc("Only this group.")] = None
    resource_group_ids: Annotated[tuple[GroupId, ...] | None, Count(100), Doc("Only these groups, up to 100.")] = None
    name: Annotated[str | None, Doc("Only groups in whose name this is.")] = None
    display_name: Annotated[str | None, Doc("Only groups in whose display name this is.")] = None
    include_tags: IncludeTags = None
    page_number: PageNumber | None = None
    page_size: PageSize100 | None = None


@shape
class GroupsOutput:
    """Resource groups."""

    resource_group: Annotated[tuple[GroupOutput, ...], Doc("The groups of this page.")]


@shape
class Output:
    resource_groups: Annotated[GroupsOutput, Doc("The groups.")]
    total_count: Annotated[int, Doc("How many groups there are on all pages.")]
    page_number: Annotated[int, Doc("The page.")]
    page_size: Annotated[int, Doc("Rows a page.")]


def check(call: Call, p: Input) -> Output:
    found = [group for group in of_account(call) if _passes(p, group)]
    number, size = p.page_number or 1, p.page_size or DEFAULT_SIZE
    page = found[(number - 1) * size : number * size]
    return Output(
        resource_groups=GroupsOutput(resource_group=tuple(in_list(call, group) for group in page)),
        total_count=len(found),
        page_number=number,
        page_size=size,
    )


def _passes(p: Input, group: Group) -> bool:
    return (
        p.status in (None, "OK")
        and p.resource_group_id in (None, group.id)
        and (p.resource_group_ids is None or group.id in p.resource_group_ids)
        and (p.name or "") in group.name
        and (p.display_name or "") in group.display_name
    )


list_resource_groups = Operation(input=Input, output=Output, check=check)
