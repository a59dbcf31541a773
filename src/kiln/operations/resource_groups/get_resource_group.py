"""Tell of one resource group."""

from __future__ import annotations

from kiln.calls.call import Call
from kiln.declare.operation import Operation
from kiln.declare.shapes import shape
from kiln.operations.resource_groups.parts import groups
from kiln.operations.resource_groups.parts.groups import EntityNotExistsResourceGroup, GroupId, IncludeTags, OneGroup


@shape
class Input:
    resource_group_id: GroupId
    include_tags: IncludeTags = None


def check(call: Call, p: Input) -> OneGroup:
    return groups.draw(call, groups.the(call, p.resource_group_id))


get_resource_group = Operation(input=Input, output=OneGroup, check=check, errors=(EntityNotExistsResourceGroup,))
