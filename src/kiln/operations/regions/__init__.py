"""Regions, zones and instance types: one file for each operation, and what they are built of in parts/."""

from __future__ import annotations

from typing import Any

from kiln.declare.operation import Operation
from kiln.declare.products import ECS
from kiln.operations.regions.describe_account_attributes import describe_account_attributes
from kiln.operations.regions.describe_available_resource import describe_available_resource
from kiln.operations.regions.describe_instance_types import describe_instance_types
from kiln.operations.regions.describe_regions import describe_regions
from kiln.operations.regions.describe_zones import describe_zones

PRODUCT = ECS

#: In the order of the reference.
OPERATIONS: tuple[Operation[Any, Any, Any], ...] = (
    describe_regions,
    describe_zones,
    describe_instance_types,
    describe_available_resource,
    describe_account_attributes,
)
