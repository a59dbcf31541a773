"""Snapshots: one file for each operation, and what they are built of in parts/."""

from __future__ import annotations

from typing import Any

from kiln.declare.operation import Operation
from kiln.declare.products import ECS
from kiln.operations.snapshots.apply_auto_snapshot_policy import apply_auto_snapshot_policy
from kiln.operations.snapshots.cancel_auto_snapshot_policy import cancel_auto_snapshot_policy
from kiln.operations.snapshots.copy_snapshot import copy_snapshot
from kiln.operations.snapshots.create_auto_snapshot_policy import create_auto_snapshot_policy
from kiln.operations.snapshots.create_snapshot import create_snapshot
from kiln.operations.snapshots.create_snapshot_group import create_snapshot_group
from kiln.operations.snapshots.delete_auto_snapshot_policy import delete_auto_snapshot_policy
from kiln.operations.snapshots.delete_snapshot import delete_snapshot
from kiln.operations.snapshots.delete_snapshot_group import delete_snapshot_group
from kiln.operations.snapshots.describe_auto_snapshot_policy_associations import (
    describe_auto_snapshot_policy_associations,
)
from kiln.operations.snapshots.describe_auto_snapshot_policy_ex import describe_auto_snapshot_policy_ex
from kiln.operations.snapshots.describe_snapshot_groups import describe_snapshot_groups
from kiln.operations.snapshots.describe_snapshots import describe_snapshots
from kiln.operations.snapshots.modify_auto_snapshot_policy_ex import modify_auto_snapshot_policy_ex
from kiln.operations.snapshots.modify_snapshot_attribute import modify_snapshot_attribute
from kiln.operations.snapshots.modify_snapshot_group import modify_snapshot_group

PRODUCT = ECS

#: In the order of the reference.
OPERATIONS: tuple[Operation[Any, Any, Any], ...] = (
    create_snapshot,
    describe_snapshots,
    modify_snapshot_attribute,
    delete_snapshot,
    copy_snapshot,
    create_snapshot_group,
    describe_snapshot_groups,
    modify_snapshot_group,
    delete_snapshot_group,
    create_auto_snapshot_policy,
    describe_auto_snapshot_policy_ex,
    apply_auto_snapshot_policy,
    describe_auto_snapshot_policy_associations,
    cancel_auto_snapshot_policy,
    modify_auto_snapshot_policy_ex,
    delete_auto_snapshot_policy,
)
