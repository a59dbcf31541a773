"""Snapshots: one file for each operation, and what they are built of in parts/."""

from __future__ import annotations

from typing import Any

from kiln.declare.operation import Operation
from kiln.declare.products import ECS
from kiln.operations.snapshots.copy_snapshot import copy_snapshot
from kiln.operations.snapshots.create_snapshot import create_snapshot
from kiln.operations.snapshots.delete_snapshot import delete_snapshot
from kiln.operations.snapshots.describe_snapshots import describe_snapshots
from kiln.operations.snapshots.modify_snapshot_attribute import modify_snapshot_attribute

PRODUCT = ECS

#: In the order of the reference.
OPERATIONS: tuple[Operation[Any, Any, Any], ...] = (
    create_snapshot,
    describe_snapshots,
    modify_snapshot_attribute,
    delete_snapshot,
    copy_snapshot,
)
