"""Every operation of the service, in the order of the reference pages."""

from __future__ import annotations

from typing import Any

from kiln.declare.operation import Operation
from kiln.operations import disks, images, instances, reasons, regions, snapshots, tags, tasks

GROUPS = (images, tasks, snapshots, disks, instances, regions, tags, reasons)

ALL: tuple[Operation[Any, Any, Any], ...] = tuple(operation for group in GROUPS for operation in group.OPERATIONS)

CATALOGUE = {operation.key: operation for operation in ALL}
