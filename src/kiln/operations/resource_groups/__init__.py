"""Resource groups: one file for each operation, and what they are built of in parts/."""

from __future__ import annotations

from typing import Any

from kiln.declare.operation import Operation
from kiln.declare.products import RESOURCE_MANAGER
from kiln.operations.resource_groups.create_resource_group import create_resource_group
from kiln.operations.resource_groups.delete_resource_group import delete_resource_group
from kiln.operations.resource_groups.get_resource_group import get_resource_group
from kiln.operations.resource_groups.list_resource_groups import list_resource_groups
from kiln.operations.resource_groups.update_resource_group import update_resource_group

PRODUCT = RESOURCE_MANAGER

#: In the order of the reference.
OPERATIONS: tuple[Operation[Any, Any, Any], ...] = (
    create_resource_group,
    list_resource_groups,
    get_resource_group,
    update_resource_group,
    delete_resource_group,
)
