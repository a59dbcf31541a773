"""What only Kiln tells: why something is as it is, and what it takes. One file for each operation."""

from __future__ import annotations

from typing import Any

from kiln.declare.operation import Operation
from kiln.declare.products import KILN
from kiln.operations.reasons.describe_reasons import describe_reasons
from kiln.operations.reasons.describe_storage import describe_storage

PRODUCT = KILN

#: In the order of the reference.
OPERATIONS: tuple[Operation[Any, Any, Any], ...] = (describe_reasons, describe_storage)
