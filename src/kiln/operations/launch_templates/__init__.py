"""Launch templates: one file for each operation, and what they are built of in parts/."""

from __future__ import annotations

from typing import Any

from kiln.declare.operation import Operation
from kiln.declare.products import ECS
from kiln.operations.launch_templates.create_launch_template import create_launch_template
from kiln.operations.launch_templates.create_launch_template_version import create_launch_template_version
from kiln.operations.launch_templates.delete_launch_template import delete_launch_template
from kiln.operations.launch_templates.delete_launch_template_version import delete_launch_template_version
from kiln.operations.launch_templates.describe_launch_template_versions import describe_launch_template_versions
from kiln.operations.launch_templates.describe_launch_templates import describe_launch_templates
from kiln.operations.launch_templates.modify_launch_template_default_version import (
    modify_launch_template_default_version,
)

PRODUCT = ECS

#: In the order of the reference.
OPERATIONS: tuple[Operation[Any, Any, Any], ...] = (
    create_launch_template,
    create_launch_template_version,
    describe_launch_templates,
    describe_launch_template_versions,
    modify_launch_template_default_version,
    delete_launch_template_version,
    delete_launch_template,
)
