"""VSwitches: one file for each operation, and what they are built of in parts/."""

from __future__ import annotations

from typing import Any

from kiln.declare.operation import Operation
from kiln.declare.products import VPC
from kiln.operations.vswitches.create_v_switch import create_v_switch
from kiln.operations.vswitches.delete_v_switch import delete_v_switch
from kiln.operations.vswitches.describe_v_switch_attributes import describe_v_switch_attributes
from kiln.operations.vswitches.describe_v_switches import describe_v_switches
from kiln.operations.vswitches.modify_v_switch_attribute import modify_v_switch_attribute

PRODUCT = VPC

#: In the order of the reference.
OPERATIONS: tuple[Operation[Any, Any, Any], ...] = (
    create_v_switch,
    describe_v_switches,
    describe_v_switch_attributes,
    modify_v_switch_attribute,
    delete_v_switch,
)
