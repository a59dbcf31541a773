"""Show a resource group under another name. Its Name stays: it is what the group is known by."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from kiln.calls.call import Call
from kiln.declare.operation import Operation
from kiln.declare.rules import Doc
from kiln.declare.shapes import shape
from kiln.operations.resource_groups.parts import groups
from kiln.operations.resource_groups.parts.groups import (
    DisplayName,
    EntityNotExistsResourceGroup,
    GroupId,
    GroupOutput,
    InvalidStatusResourceGroup,
)
from kiln.operations.steps.resource_groups import Group
from kiln.store.accounts import resource_groups


@shape
class Input:
    resource_group_id: GroupId
    new_display_name: DisplayName


@shape
class Output:
    resource_group: Annotated[GroupOutput, Doc("The group, as it is now.")]


def check(call: Call, p: Input) -> Group:
    return replace(groups.the_own(call, p.resource_group_id), display_name=p.new_display_name)


def commit(call: Call, group: Group) -> Output:
    resource_groups.update(call.tx, {"display_name": group.display_name}, account=call.account, id=group.id)
    return Output(resource_group=groups.in_list(call, group))


update_resource_group = Operation(
    input=Input,
    output=Output,
    check=check,
    commit=commit,
    errors=(EntityNotExistsResourceGroup, InvalidStatusResourceGroup),
)
