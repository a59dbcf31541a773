"""Security groups: one file for each operation, and what they are built of in parts/."""

from __future__ import annotations

from typing import Any

from kiln.declare.operation import Operation
from kiln.declare.products import ECS
from kiln.operations.security_groups.authorize_security_group import authorize_security_group
from kiln.operations.security_groups.authorize_security_group_egress import authorize_security_group_egress
from kiln.operations.security_groups.create_security_group import create_security_group
from kiln.operations.security_groups.delete_security_group import delete_security_group
from kiln.operations.security_groups.describe_security_group_attribute import describe_security_group_attribute
from kiln.operations.security_groups.describe_security_groups import describe_security_groups
from kiln.operations.security_groups.join_security_group import join_security_group
from kiln.operations.security_groups.leave_security_group import leave_security_group
from kiln.operations.security_groups.modify_security_group_attribute import modify_security_group_attribute
from kiln.operations.security_groups.modify_security_group_policy import modify_security_group_policy
from kiln.operations.security_groups.revoke_security_group import revoke_security_group
from kiln.operations.security_groups.revoke_security_group_egress import revoke_security_group_egress

PRODUCT = ECS

#: In the order of the reference.
OPERATIONS: tuple[Operation[Any, Any, Any], ...] = (
    create_security_group,
    describe_security_groups,
    describe_security_group_attribute,
    modify_security_group_attribute,
    modify_security_group_policy,
    authorize_security_group,
    authorize_security_group_egress,
    revoke_security_group,
    revoke_security_group_egress,
    join_security_group,
    leave_security_group,
    delete_security_group,
)
