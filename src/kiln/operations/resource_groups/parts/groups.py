"""A resource group: how it is named, found and shown. Source: the documents of ResourceManager (docs/sources.md)."""

from __future__ import annotations

from typing import Annotated

from kiln.calls.call import Call
from kiln.declare.errors import ApiError
from kiln.declare.rules import Accepted, Doc, Example, Text
from kiln.declare.shapes import shape
from kiln.ground.clock import to_seconds_text
from kiln.operations.steps.resource_groups import Group, of_account


class EntityNotExistsResourceGroup(ApiError):
    """The account has no resource group of that ID."""

    code = "EntityNotExists.ResourceGroup"
    status = 404
    message = "The specified resource group does not exist. You must first create a resource group."
    hint = "`kiln resource-group list` lists them."


class InvalidParameterDisplayNameLength(ApiError):
    """The display name is empty or longer than 50 characters."""

    code = "InvalidParameter.DisplayName.Length"
    message = "The maximum length of DisplayName is exceeded."


class InvalidStatusResourceGroup(ApiError):
    """The group is not the account's to change: its default group, or one that every account has."""

    code = "InvalidStatus.ResourceGroup"
    status = 409
    message = "It's not allowed to do this operation because of the current status of the resource group."
    hint = "The operator names the groups that every account has in the setting `resource_groups`."


GroupId = Annotated[str, Example("rg-bp67acfmxazb4p8xk3ie"), Doc("The ID of the resource group.")]
DisplayName = Annotated[
    str,
    Text(1, 50, InvalidParameterDisplayNameLength),
    Example("Web servers"),
    Doc("What is shown of the group."),
]
IncludeTags = Annotated[bool | None, Accepted("Resource groups have no tags here."), Doc("Whether to tell tags.")]


@shape
class RegionStatusOutput:
    """One region."""

    region_id: Annotated[str, Doc("The region.")]
    status: Annotated[str, Example("OK"), Doc("As the group's.")]


@shape
class RegionStatusesOutput:
    """Regions."""

    region_status: Annotated[tuple[RegionStatusOutput, ...], Doc("Every region.")]


@shape
class GroupOutput:
    """One resource group."""

    id: GroupId
    name: Annotated[str, Doc("The name.")]
    display_name: Annotated[str, Doc("What is shown of it.")]
    account_id: Annotated[str, Example("1000000000000001"), Doc("The account that has it.")]
    status: Annotated[str, Example("OK"), Doc("OK, or PendingDelete in the answer of DeleteResourceGroup.")]
    create_date: Annotated[
        str, Example("2026-11-23T06:07:08Z"), Doc("When it was made, UTC; of those that nobody made, the account.")
    ]


@shape
class WholeGroupOutput(GroupOutput):
    """A resource group, in all regions."""

    region_statuses: Annotated[RegionStatusesOutput, Doc("Its status in each region.")]


@shape
class OneGroup:
    """The answer of an operation on one group."""

    resource_group: Annotated[WholeGroupOutput, Doc("The group.")]


def the(call: Call, group: str) -> Group:
    """The caller's group of that ID. Raises EntityNotExistsResourceGroup."""
    found = next((one for one in of_account(call) if one.id == group), None)
    if found is None:
        raise EntityNotExistsResourceGroup(resource_group_id=group)
    return found


def the_own(call: Call, group: str) -> Group:
    """As ``the``, of one that the account can change. Raises InvalidStatusResourceGroup as well."""
    found = the(call, group)
    if not found.is_own:
        raise InvalidStatusResourceGroup(resource_group_id=group)
    return found


def draw(call: Call, group: Group, status: str = "OK") -> OneGroup:
    """A group as answers show it."""
    everywhere = tuple(RegionStatusOutput(region_id=one, status=status) for one in call.deployment.regions)
    return OneGroup(
        resource_group=WholeGroupOutput(
            **vars(in_list(call, group, status)), region_statuses=RegionStatusesOutput(region_status=everywhere)
        )
    )


def in_list(call: Call, group: Group, status: str = "OK") -> GroupOutput:
    """A group as a list shows it."""
    return GroupOutput(
        id=group.id,
        name=group.name,
        display_name=group.display_name,
        account_id=call.account,
        status=status,
        create_date=to_seconds_text(group.created_at),
    )
