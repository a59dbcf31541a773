"""Delete a resource group in which nothing is."""

from __future__ import annotations

from kiln.calls.call import Call
from kiln.declare.errors import ApiError
from kiln.declare.operation import Operation
from kiln.declare.shapes import shape
from kiln.operations.resource_groups.parts import groups
from kiln.operations.resource_groups.parts.groups import (
    EntityNotExistsResourceGroup,
    GroupId,
    InvalidStatusResourceGroup,
    OneGroup,
)
from kiln.operations.steps.resource_groups import Group
from kiln.store.accounts import resource_groups
from kiln.store.resources import is_group_used


class DeleteConflictResourceGroupResource(ApiError):
    """Something is in the group."""

    code = "DeleteConflict.ResourceGroup.Resource"
    status = 409
    message = (
        "Failed to delete the resource group because one or more cloud resources exist in the resource group. "
        "Try again later after you release the cloud resources."
    )
    hint = "`kiln resource-group add GROUP RESOURCE` moves resources into another group."


@shape
class Input:
    resource_group_id: GroupId


def check(call: Call, p: Input) -> Group:
    group = groups.the_own(call, p.resource_group_id)
    if is_group_used(call.tx, call.account, group.id):
        raise DeleteConflictResourceGroupResource(resource_group_id=group.id)
    return group


def commit(call: Call, group: Group) -> OneGroup:
    resource_groups.delete(call.tx, account=call.account, id=group.id)
    return groups.draw(call, group, "PendingDelete")


delete_resource_group = Operation(
    input=Input,
    output=OneGroup,
    check=check,
    commit=commit,
    gives_back=True,
    errors=(EntityNotExistsResourceGroup, InvalidStatusResourceGroup, DeleteConflictResourceGroupResource),
)
