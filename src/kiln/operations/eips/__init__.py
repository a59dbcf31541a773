"""Elastic IP addresses: one file for each operation, and what they are built of in parts/."""

from __future__ import annotations

from typing import Any

from kiln.declare.operation import Operation
from kiln.declare.products import VPC
from kiln.operations.eips.allocate_eip_address import allocate_eip_address
from kiln.operations.eips.associate_eip_address import associate_eip_address
from kiln.operations.eips.describe_eip_addresses import describe_eip_addresses
from kiln.operations.eips.release_eip_address import release_eip_address
from kiln.operations.eips.unassociate_eip_address import unassociate_eip_address

PRODUCT = VPC

#: In the order of the reference.
OPERATIONS: tuple[Operation[Any, Any, Any], ...] = (
    allocate_eip_address,
    associate_eip_address,
    describe_eip_addresses,
    unassociate_eip_address,
    release_eip_address,
)
