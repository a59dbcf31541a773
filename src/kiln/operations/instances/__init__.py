"""Instances: one file for each operation, and what they are built of in parts/."""

from __future__ import annotations

from typing import Any

from kiln.declare.operation import Operation
from kiln.declare.products import ECS
from kiln.operations.instances.allocate_public_ip_address import allocate_public_ip_address
from kiln.operations.instances.attach_instance_ram_role import attach_instance_ram_role
from kiln.operations.instances.create_instance import create_instance
from kiln.operations.instances.delete_instance import delete_instance
from kiln.operations.instances.delete_instances import delete_instances
from kiln.operations.instances.describe_instance_attribute import describe_instance_attribute
from kiln.operations.instances.describe_instance_maintenance_attributes import (
    describe_instance_maintenance_attributes,
)
from kiln.operations.instances.describe_instance_ram_role import describe_instance_ram_role
from kiln.operations.instances.describe_instance_status import describe_instance_status
from kiln.operations.instances.describe_instances import describe_instances
from kiln.operations.instances.describe_user_data import describe_user_data
from kiln.operations.instances.detach_instance_ram_role import detach_instance_ram_role
from kiln.operations.instances.get_instance_console_output import get_instance_console_output
from kiln.operations.instances.modify_instance_attribute import modify_instance_attribute
from kiln.operations.instances.modify_instance_metadata_options import modify_instance_metadata_options
from kiln.operations.instances.modify_instance_spec import modify_instance_spec
from kiln.operations.instances.reboot_instance import reboot_instance
from kiln.operations.instances.reboot_instances import reboot_instances
from kiln.operations.instances.replace_system_disk import replace_system_disk
from kiln.operations.instances.run_instances import run_instances
from kiln.operations.instances.start_instance import start_instance
from kiln.operations.instances.start_instances import start_instances
from kiln.operations.instances.stop_instance import stop_instance
from kiln.operations.instances.stop_instances import stop_instances

PRODUCT = ECS

#: In the order of the reference.
OPERATIONS: tuple[Operation[Any, Any, Any], ...] = (
    run_instances,
    create_instance,
    start_instance,
    start_instances,
    stop_instance,
    stop_instances,
    reboot_instance,
    reboot_instances,
    delete_instance,
    delete_instances,
    describe_instances,
    describe_instance_attribute,
    describe_instance_status,
    describe_instance_maintenance_attributes,
    modify_instance_attribute,
    modify_instance_metadata_options,
    modify_instance_spec,
    replace_system_disk,
    allocate_public_ip_address,
    get_instance_console_output,
    describe_user_data,
    attach_instance_ram_role,
    detach_instance_ram_role,
    describe_instance_ram_role,
)
