"""VPCs: one file for each operation, and what they are built of in parts/."""

from __future__ import annotations

from typing import Any

from kiln.declare.operation import Operation
from kiln.declare.products import VPC
from kiln.operations.vpcs.create_vpc import create_vpc
from kiln.operations.vpcs.delete_vpc import delete_vpc
from kiln.operations.vpcs.describe_vpc_attribute import describe_vpc_attribute
from kiln.operations.vpcs.describe_vpcs import describe_vpcs
from kiln.operations.vpcs.modify_vpc_attribute import modify_vpc_attribute

PRODUCT = VPC

#: In the order of the reference.
OPERATIONS: tuple[Operation[Any, Any, Any], ...] = (
    create_vpc,
    describe_vpcs,
    describe_vpc_attribute,
    modify_vpc_attribute,
    delete_vpc,
)
