"""What is done with resources of any sort: one file for each operation."""

from __future__ import annotations

from typing import Any

from kiln.declare.operation import Operation
from kiln.declare.products import ECS
from kiln.operations.resources.join_resource_group import join_resource_group

PRODUCT = ECS

#: In the order of the reference.
OPERATIONS: tuple[Operation[Any, Any, Any], ...] = (join_resource_group,)
