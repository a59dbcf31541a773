"""Key pairs: one file for each operation, and what they are built of in parts/."""

from __future__ import annotations

from typing import Any

from kiln.declare.operation import Operation
from kiln.declare.products import ECS
from kiln.operations.key_pairs.attach_key_pair import attach_key_pair
from kiln.operations.key_pairs.create_key_pair import create_key_pair
from kiln.operations.key_pairs.delete_key_pairs import delete_key_pairs
from kiln.operations.key_pairs.describe_key_pairs import describe_key_pairs
from kiln.operations.key_pairs.detach_key_pair import detach_key_pair
from kiln.operations.key_pairs.import_key_pair import import_key_pair

PRODUCT = ECS

#: In the order of the reference.
OPERATIONS: tuple[Operation[Any, Any, Any], ...] = (
    create_key_pair,
    import_key_pair,
    describe_key_pairs,
    attach_key_pair,
    detach_key_pair,
    delete_key_pairs,
)
