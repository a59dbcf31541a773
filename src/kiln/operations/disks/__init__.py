"""Disks: one file for each operation, and what they are built of in parts/."""

from __future__ import annotations

from typing import Any

from kiln.declare.operation import Operation
from kiln.declare.products import ECS
from kiln.operations.disks.attach_disk import attach_disk
from kiln.operations.disks.create_disk import create_disk
from kiln.operations.disks.delete_disk import delete_disk
from kiln.operations.disks.describe_disks import describe_disks
from kiln.operations.disks.detach_disk import detach_disk
from kiln.operations.disks.modify_disk_attribute import modify_disk_attribute
from kiln.operations.disks.re_init_disk import re_init_disk
from kiln.operations.disks.reset_disk import reset_disk
from kiln.operations.disks.resize_disk import resize_disk

PRODUCT = ECS

#: In the order of the reference.
OPERATIONS: tuple[Operation[Any, Any, Any], ...] = (
    create_disk,
    describe_disks,
    attach_disk,
    detach_disk,
    delete_disk,
    modify_disk_attribute,
    resize_disk,
    reset_disk,
    re_init_disk,
)
