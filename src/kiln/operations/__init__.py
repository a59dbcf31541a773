"""Every operation of the service, in the order of the reference pages."""

from __future__ import annotations

from typing import Any

from kiln.declare.operation import Operation
from kiln.operations.images.create_image import create_image
from kiln.operations.snapshots.create_snapshot import create_snapshot
from kiln.operations.snapshots.delete_snapshot import delete_snapshot
from kiln.operations.snapshots.describe_snapshots import describe_snapshots

ALL: tuple[Operation[Any, Any, Any], ...] = (
    create_image,
    create_snapshot,
    describe_snapshots,
    delete_snapshot,
)

BY_NAME = {operation.name: operation for operation in ALL}
