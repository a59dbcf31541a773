"""Make a resource group, which resources of any region can be in. It is usable at once."""

from __future__ import annotations

from typing import Annotated

from kiln.calls.call import Call
from kiln.declare.errors import ApiError
from kiln.declare.ids import new_id
from kiln.declare.operation import Operation
from kiln.declare.rules import Declined, Doc, Example, Pattern
from kiln.declare.shapes import shape
from kiln.operations.resource_groups.parts import groups
from kiln.operations.resource_groups.parts.groups import DisplayName, OneGroup
from kiln.operations.steps.resource_groups import Group, of_account
from kiln.store.accounts import ResourceGroup, resource_groups

_TAGS = Declined("resource groups have no tags here")


class InvalidParameterNameInvalidChars(ApiError):
    """The name breaks the rule for names of resource groups."""

    code = "InvalidParameter.Name.InvalidChars"
    message = "The Name is invalid."


class EntityAlreadyExistsResourceGroup(ApiError):
    """The account has a resource group of that name."""

    code = "EntityAlreadyExists.ResourceGroup"
    status = 409
    message = "The resource group already exists."


class LimitExceededResourceGroup(ApiError):
    """The account has as many resource groups as it may."""

    code = "LimitExceeded.ResourceGroup"
    status = 409
    message = "The maximum number of resource groups is exceeded."


@shape
class TagInput:
    """A tag."""

    key: Annotated[str | None, _TAGS, Doc("The key.")] = None
    value: Annotated[str | None, _TAGS, Doc("The value.")] = None


@shape
class Input:
    name: Annotated[
        str,
        Pattern(
            r"[A-Za-z][A-Za-z0-9-]{1,49}",
            "2 to 50 characters, an English letter first, then letters, digits and hyphens",
            "1web",
            InvalidParameterNameInvalidChars,
        ),
        Example("web"),
        Doc("The name of the group, unique in the account."),
    ]
    display_name: DisplayName
    tag: Annotated[tuple[TagInput, ...], Doc("Tags.")] = ()


def check(call: Call, p: Input) -> Group:
    there = of_account(call)
    if any(group.name == p.name for group in there):
        raise EntityAlreadyExistsResourceGroup(name=p.name)
    if sum(group.is_own for group in there) >= call.deployment.quotas.resource_groups:
        raise LimitExceededResourceGroup
    return Group(
        id=new_id("resource_group"), name=p.name, display_name=p.display_name, created_at=call.now, is_own=True
    )


def commit(call: Call, group: Group) -> OneGroup:
    row = ResourceGroup(
        id=group.id,
        account=call.account,
        name=group.name,
        display_name=group.display_name,
        created_at=group.created_at,
    )
    resource_groups.insert(call.tx, row)
    return groups.draw(call, group)


create_resource_group = Operation(
    input=Input,
    output=OneGroup,
    check=check,
    commit=commit,
    errors=(EntityAlreadyExistsResourceGroup, LimitExceededResourceGroup),
)
