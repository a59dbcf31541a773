"""Tasks, which imports and exports are: one file for each operation."""

from __future__ import annotations

from typing import Any

from kiln.declare.operation import Operation
from kiln.declare.products import ECS
from kiln.operations.tasks.cancel_task import cancel_task
from kiln.operations.tasks.describe_task_attribute import describe_task_attribute
from kiln.operations.tasks.describe_tasks import describe_tasks

PRODUCT = ECS

#: In the order of the reference.
OPERATIONS: tuple[Operation[Any, Any, Any], ...] = (
    describe_tasks,
    describe_task_attribute,
    cancel_task,
)
