"""Where the products are served: one file for each operation."""

from __future__ import annotations

from typing import Any

from kiln.declare.operation import Operation
from kiln.declare.products import LOCATION
from kiln.operations.endpoints.describe_endpoints import describe_endpoints

PRODUCT = LOCATION

#: In the order of the reference.
OPERATIONS: tuple[Operation[Any, Any, Any], ...] = (describe_endpoints,)
