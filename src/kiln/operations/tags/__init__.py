"""Tags: one file for each operation, and what they are built of in parts/."""

from __future__ import annotations

from typing import Any

from kiln.declare.operation import Operation
from kiln.declare.products import ECS
from kiln.operations.tags.add_tags import add_tags
from kiln.operations.tags.describe_tags import describe_tags
from kiln.operations.tags.list_tag_resources import list_tag_resources
from kiln.operations.tags.remove_tags import remove_tags
from kiln.operations.tags.tag_resources import tag_resources
from kiln.operations.tags.untag_resources import untag_resources

PRODUCT = ECS

#: In the order of the reference.
OPERATIONS: tuple[Operation[Any, Any, Any], ...] = (
    tag_resources,
    untag_resources,
    list_tag_resources,
    add_tags,
    remove_tags,
    describe_tags,
)
